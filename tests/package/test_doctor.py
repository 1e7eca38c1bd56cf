"""The doctor: for every way in which an environment can be unfit, one line that says how to mend it."""

import hashlib
import subprocess
import sys
from collections import namedtuple

import pytest
import torch

from lulc_utils import backbone, data, doctor
from lulc_utils.cli import main


def only(word, check):
    """The texts of a check's findings of one kind."""
    return [finding.text for finding in check() if finding.word == word]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder for data and features, and no variable of this machine."""
    for name in ("LULC_DATA_MIRROR", "LULC_OFFLINE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LULC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LULC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_all_is_well_here(here, capsys):
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


def test_it_can_be_called_both_ways_and_explains_itself():
    for name in ("lulc_utils", "lulc_utils.doctor"):
        arguments = ["doctor", "--help"] if name == "lulc_utils" else ["--help"]
        done = subprocess.run([sys.executable, "-m", name, *arguments], capture_output=True, text=True)
        assert done.returncode == 0 and "how to mend" in done.stdout


def test_something_to_fix_is_counted_and_exits_with_1(here, monkeypatch, capsys):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 9, 1))
    assert doctor.main([]) == 1
    said = capsys.readouterr().out
    assert "FIX  Python" in said and "install Python 3.10 or newer" in said and "To fix: 1." in said


# ------------------------------------------------------------------------------------------------- packages


def test_a_package_that_is_too_old(monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "0.9.2" if name == "timm" else real(name))
    (text,) = only("FIX", doctor.check_packages)
    assert text == "timm 0.9.2 does not satisfy >=1.0.11: run `pip install 'timm>=1.0.11'`."


def test_after_broken_packages_nothing_that_needs_them_is_tried(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "PACKAGES", "numpy no-such-package")
    monkeypatch.setattr(doctor, "check_weights", lambda: pytest.fail("was tried"))
    assert doctor.main([]) == 1
    said = capsys.readouterr().out
    assert "FIX  no-such-package is not installed: run `pip install no-such-package`." in said
    assert "were not looked at: mend the packages first" in said


def test_a_package_built_for_another_numpy(monkeypatch):
    def broken(name):
        if name == "rasterio":
            raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    (text,) = only("FIX", doctor.check_packages)
    assert "restart the kernel" in text


def test_tools_that_only_build_the_book_are_no_fault(monkeypatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "papermill" else real(name))
    assert not only("FIX", doctor.check_packages)
    (note,) = only("NOTE", doctor.check_packages)
    assert "papermill missing" in note and "make book" in note


@pytest.mark.parametrize(
    ("torch_version", "vision_version", "sign"),
    [
        ("2.10.0+cu128", "0.26.0+cu128", "torchvision 0.26.0+cu128 needs torch==2.11.0, but torch is 2.10.0+cu128"),
        ("2.11.0+cpu", "0.26.0+cu128", "torch is built for cpu, torchvision for cu128"),
    ],
)
def test_torch_and_torchvision_that_do_not_match(monkeypatch, torch_version, vision_version, sign):
    monkeypatch.setattr(doctor, "_version", {"torch": torch_version, "torchvision": vision_version}.get)
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: ["numpy", "torch==2.11.0"])
    (text,) = only("FIX", doctor.check_pair)
    assert sign in text and "in one command" in text


def test_torch_and_torchvision_that_match(monkeypatch):
    monkeypatch.setattr(doctor, "_version", {"torch": "2.11.0+cu128", "torchvision": "0.26.0+cu128"}.get)
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: ["torch==2.11.0"])
    assert not only("FIX", doctor.check_pair) and len(only("OK", doctor.check_pair)) == 1


# -------------------------------------------------------------------------------------------------- machine


def test_more_threads_than_cores(here, monkeypatch):
    monkeypatch.setattr(doctor, "cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert "set OMP_NUM_THREADS=2 before" in only("NOTE", doctor.check_machine)[0]
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert "unset OMP_NUM_THREADS before" in only("NOTE", doctor.check_machine)[0]


def test_one_thread_on_many_cores(here, monkeypatch):
    monkeypatch.setattr(doctor, "cores", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert not only("NOTE", doctor.check_machine), "torch was told so by the program, not by the environment"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "unset it to use all" in only("NOTE", doctor.check_machine)[0]


def test_the_graphics_card_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    assert "cuda (Tesla T4)" in only("OK", doctor.check_machine)[0]


def test_a_chapter_that_asks_for_a_gpu_is_told_when_there_is_none(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "device", lambda: "cpu")
    doctor.report()
    assert "GPU" not in capsys.readouterr().out
    doctor.report(gpu=True)
    assert capsys.readouterr().out.count("There is no GPU here") == 1
    monkeypatch.setattr(doctor, "device", lambda: "cuda")
    doctor.report(gpu=True)
    said = capsys.readouterr().out
    assert "no GPU" not in said and "device: cuda" in said and said.count("\n") == 1


# ----------------------------------------------------------------------------------------- files and data


def test_a_folder_that_cannot_be_written_to(here, monkeypatch):
    (here / "file").write_text("not a folder")
    monkeypatch.setenv("LULC_DATA_DIR", str(here / "file" / "data"))
    (text,) = only("FIX", doctor.check_folders)
    assert "cannot be written to: set LULC_DATA_DIR to another" in text
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    texts = only("FIX", doctor.check_folders)
    assert len(texts) == 2 and "set LULC_CACHE_DIR" in texts[1]


def test_a_full_disk(here, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: namedtuple("Usage", "free")(1_000_000))
    (text,) = only("FIX", doctor.check_folders)
    total = sum(data.about(name)["bytes"] for name in data.names()) / 1e6
    assert "has 1 MB free" in text and f"take {total:.0f} MB" in text and "another disk" in text


def test_data_that_are_missing_are_notes_with_the_command(here, monkeypatch):
    notes = only("NOTE", doctor.check_data)
    assert len(notes) == len(data.names()) and not only("FIX", doctor.check_data)
    assert all(f"`python -m lulc_utils data fetch {n}`" in text for n, text in zip(data.names(), notes, strict=True))
    monkeypatch.setenv("LULC_OFFLINE", "1")
    assert all("LULC_OFFLINE forbids to fetch it; unset it" in text for text in only("NOTE", doctor.check_data))


def test_data_that_are_here(here, monkeypatch):
    monkeypatch.setattr(data, "missing", lambda name: [] if name == "eurosat" else ["a.npy"])
    assert "data set eurosat: here (10.7 MB)" in only("OK", doctor.check_data)


def test_a_mirror_that_does_not_exist(here, monkeypatch):
    monkeypatch.setenv("LULC_DATA_MIRROR", str(here / "nowhere"))
    (text,) = only("FIX", doctor.check_data)
    assert "there is no such folder: correct it or unset it" in text
    for good in (str(here), "https://example.org/mirror"):
        monkeypatch.setenv("LULC_DATA_MIRROR", good)
        assert not only("FIX", doctor.check_data)
        assert "real data come from a mirror (LULC_DATA_MIRROR)" in only("OK", doctor.check_data)


def test_the_fingerprint_is_that_of_the_weights_in_this_package():
    assert hashlib.sha256(backbone.EMBEDDED_FILE.read_bytes()).hexdigest() == doctor.EMBEDDED_SHA256
    assert not only("FIX", doctor.check_weights)


def test_weights_that_are_missing_damaged_or_do_not_load(tmp_path, monkeypatch):
    path = tmp_path / "embedded.safetensors"
    monkeypatch.setattr(backbone, "EMBEDDED_FILE", path)
    assert "are missing: install" in only("FIX", doctor.check_weights)[0]
    path.write_bytes(b"half a file")
    assert "damaged or were changed (SHA-256): install" in only("FIX", doctor.check_weights)[0]
    monkeypatch.setattr(doctor, "EMBEDDED_SHA256", hashlib.sha256(b"half a file").hexdigest())
    assert "do not load (" in only("FIX", doctor.check_weights)[0]
