"""The doctor: for every way in which an environment can be unfit, one line that says how to fix it."""

import hashlib
from collections import namedtuple

import pytest
import torch

from lulc_utils import backbone, data, doctor
from lulc_utils.cli import main
from lulc_utils.doctor import machine, packages


def only(word, check):
    """The texts of a check's findings of one kind."""
    return [finding.text for finding in check() if finding.word == word]


@pytest.fixture
def healthy(tmp_path, monkeypatch):
    """An empty folder for data and features, and no variable of this machine."""
    for name in ("LULC_DATA_MIRROR", "LULC_OFFLINE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LULC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_all_is_well_here(healthy, capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in said[:-1]} <= {"OK", "NOTE"} and said[-1] == "All is well."
    for what in (
        "Python",
        "timm",
        "matching pair",
        "torch computes on",
        "folder for data",
        "data set dubai",
        "weights",
    ):
        assert any(what in line for line in said), what


def test_something_to_fix_is_counted_and_exits_with_1(healthy, monkeypatch, capsys):
    monkeypatch.setattr(packages.sys, "version_info", (3, 9, 1))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "FIX  Python" in said and "install Python 3.10 or newer" in said and "To fix: 1." in said


# ------------------------------------------------------------------------------------------------- packages


def test_a_package_that_is_too_old(monkeypatch):
    real = packages.version_of
    monkeypatch.setattr(packages, "version_of", lambda name: "0.9.2" if name == "timm" else real(name))
    (text,) = only("FIX", packages.check_packages)
    assert text == "timm 0.9.2 does not satisfy >=1.0.11: run `pip install 'timm>=1.0.11'`."


def test_after_broken_packages_nothing_that_needs_them_is_tried(monkeypatch, capsys):
    monkeypatch.setattr(packages, "PACKAGES", ("numpy", "no-such-package"))
    monkeypatch.setattr(machine, "check_weights", lambda: pytest.fail("was tried"))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "FIX  no-such-package is not installed: run `pip install no-such-package`." in said
    assert "were not checked: fix the packages first" in said


def test_a_package_built_for_another_numpy(monkeypatch):
    def broken(name):
        if name == "rasterio":
            raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    monkeypatch.setattr(packages.importlib, "import_module", broken)
    (text,) = only("FIX", packages.check_packages)
    assert "restart the kernel" in text


def test_tools_that_only_build_the_book_are_no_fault(monkeypatch):
    real = packages.version_of
    monkeypatch.setattr(packages, "version_of", lambda name: None if name == "papermill" else real(name))
    assert not only("FIX", packages.check_packages)
    (note,) = only("NOTE", packages.check_packages)
    assert "papermill missing" in note and "make book" in note


@pytest.mark.parametrize(
    ("torch_version", "vision_version", "sign"),
    [
        ("2.10.0+cu128", "0.26.0+cu128", "torchvision 0.26.0+cu128 needs torch==2.11.0, but torch is 2.10.0+cu128"),
        ("2.11.0+cpu", "0.26.0+cu128", "torch is built for cpu, torchvision for cu128"),
    ],
)
def test_torch_and_torchvision_that_do_not_match(monkeypatch, torch_version, vision_version, sign):
    monkeypatch.setattr(packages, "version_of", {"torch": torch_version, "torchvision": vision_version}.get)
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: ["numpy", "torch==2.11.0"])
    (text,) = only("FIX", packages.check_pair)
    assert sign in text and "in one command" in text


def test_torch_and_torchvision_that_match(monkeypatch):
    monkeypatch.setattr(packages, "version_of", {"torch": "2.11.0+cu128", "torchvision": "0.26.0+cu128"}.get)
    monkeypatch.setattr(packages.importlib.metadata, "requires", lambda name: ["torch==2.11.0"])
    assert not only("FIX", packages.check_pair) and len(only("OK", packages.check_pair)) == 1


# -------------------------------------------------------------------------------------------------- machine


def test_more_threads_than_cores(healthy, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert "set OMP_NUM_THREADS=2 before" in only("NOTE", machine.check_machine)[0]
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert "unset OMP_NUM_THREADS before" in only("NOTE", machine.check_machine)[0]


def test_one_thread_on_many_cores(healthy, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert not only("NOTE", machine.check_machine), "torch was told so by the program, not by the environment"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "unset it to use all" in only("NOTE", machine.check_machine)[0]


def test_the_graphics_card_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    assert "cuda (Tesla T4)" in only("OK", machine.check_machine)[0]


def test_a_chapter_that_asks_for_a_gpu_is_told_when_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr(machine, "device", lambda: "cpu")
    doctor.report()
    assert "GPU" not in capsys.readouterr().out
    doctor.report(gpu=True)
    assert capsys.readouterr().out.count("There is no GPU here") == 1
    monkeypatch.setattr(machine, "device", lambda: "cuda")
    doctor.report(gpu=True)
    said = capsys.readouterr().out
    assert "no GPU" not in said and "device: cuda" in said and said.count("\n") == 1


# ----------------------------------------------------------------------------------------- files and data


def test_a_folder_that_cannot_be_written_to(healthy, monkeypatch):
    (healthy / "file").write_text("not a folder")
    monkeypatch.setenv("LULC_DATA_DIR", str(healthy / "file" / "data"))
    (text,) = only("FIX", machine.check_folders)
    assert "is not writable: set LULC_DATA_DIR to another" in text
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    texts = only("FIX", machine.check_folders)
    assert len(texts) == 2 and "set LULC_CACHE_DIR" in texts[1]


def test_a_full_disk(healthy, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1_000_000))
    (text,) = only("FIX", machine.check_folders)
    total = sum(data.about(name)["bytes"] for name in data.names()) / 1e6
    assert "has 1 MB free" in text and f"need {total:.0f} MB" in text and "another disk" in text


def test_data_that_are_missing_are_notes_with_the_command(healthy, monkeypatch):
    notes = only("NOTE", machine.check_data)
    assert len(notes) == len(data.names()) and not only("FIX", machine.check_data)
    assert all(f"`python -m lulc_utils data fetch {n}`" in text for n, text in zip(data.names(), notes, strict=True))
    monkeypatch.setenv("LULC_OFFLINE", "1")
    assert all("LULC_OFFLINE forbids fetching it; unset it" in text for text in only("NOTE", machine.check_data))


def test_data_that_are_here(healthy, monkeypatch):
    monkeypatch.setattr(data, "missing", lambda name: [] if name == "terramesh" else ["a.npy"])
    assert "data set terramesh: here (6.3 MB)" in only("OK", machine.check_data)


def test_what_a_killed_fetch_left_is_mentioned(healthy):
    left = data.cache_folder() / "dubai" / ".one.0123456789ab.part.png"
    left.parent.mkdir(parents=True)
    left.touch()
    assert "data set dubai: 1 half-written; the next fetch removes what was left." in only("NOTE", machine.check_data)


@pytest.mark.slow
def test_a_mirror_that_does_not_exist(healthy, monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", str(healthy / "nowhere"))
    (text,) = only("FIX", machine.check_data)
    assert "there is no such folder: correct it or unset it" in text
    for good in (str(healthy), "https://example.org/mirror"):
        monkeypatch.setenv("LULC_DATA_MIRROR", good)
        assert not only("FIX", machine.check_data)
        assert "real data comes from a mirror (LULC_DATA_MIRROR)" in only("OK", machine.check_data)


def test_the_fingerprint_is_that_of_the_weights_in_this_package():
    assert hashlib.sha256(backbone.EMBEDDED_FILE.read_bytes()).hexdigest() == machine.EMBEDDED_SHA256
    assert not only("FIX", machine.check_weights)


def test_weights_that_are_missing_damaged_or_do_not_load(tmp_path, monkeypatch):
    path = tmp_path / "embedded.safetensors"
    monkeypatch.setattr(backbone, "EMBEDDED_FILE", path)
    assert "are missing: install" in only("FIX", machine.check_weights)[0]
    path.write_bytes(b"half a file")
    assert "damaged or were changed (SHA-256): install" in only("FIX", machine.check_weights)[0]
    monkeypatch.setattr(machine, "EMBEDDED_SHA256", hashlib.sha256(b"half a file").hexdigest())
    assert "do not load (" in only("FIX", machine.check_weights)[0]
