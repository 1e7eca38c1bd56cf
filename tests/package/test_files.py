"""A file is written completely or not at all, and what the system refuses is said in one sentence."""

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from lulc_utils import tensors
from lulc_utils.files import alone, check_readable, check_target, complete_or_absent, leftovers

linux = pytest.mark.skipif(sys.platform == "win32", reason="umask, pipes and users as on Unix")


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    with complete_or_absent(path) as part:
        part.write_text("all of it")
        assert not path.exists() and part.parent == path.parent and part.suffix == ".txt"
    assert path.read_text() == "all of it" and names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1), ConnectionError("cut")])
def test_after_an_error_nothing_has_changed(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(type(error)) as caught, complete_or_absent(path) as part:
        part.write_text("half")
        part.with_name(part.name + ".ovr").touch()  # as GDAL does
        raise error
    assert caught.value is error
    assert path.read_text() == "before" and names(tmp_path) == ["a.txt"]


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with complete_or_absent(path) as first, complete_or_absent(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first" and names(tmp_path) == ["a.txt"]  # the one that ends last


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with complete_or_absent(tmp_path / "link.txt") as part:
        part.write_text("x")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "real.txt").read_text() == "x"


def special(kind, path):
    """Put a pipe, a socket or a folder at the path; for a device, its path."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(os.path.relpath(path))  # names of sockets must be short
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(os.devnull)
    return path


@linux
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device"])
def test_what_is_no_file_is_neither_replaced_nor_opened(tmp_path, kind):
    path = special(kind, tmp_path / "out.tif")
    before = path.stat()
    refused = f"out.tif is a {kind}, not a file; choose another name"
    with pytest.raises(ValueError, match=refused), complete_or_absent(path):
        raise AssertionError("the block must not run")
    with pytest.raises(ValueError, match=refused):
        check_target(path)
    with pytest.raises(ValueError, match=f"out.tif is a {kind}, not a weights file"):
        check_readable(path, "weights file")
    assert os.path.samestat(before, path.stat()) and names(tmp_path) == ["out.tif"]


@linux
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_is_respected_whatever_the_writer_does(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with complete_or_absent(tmp_path / "a.txt") as part:
            part.write_text("x")
            part.chmod(0o600)
        tensors.write(tmp_path / "b.safetensors", {"x": torch.zeros(2)})  # its library writes 0600 itself
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {mode}


def run_as_nobody(folder, code):
    """What the code prints, run as a user who owns nothing."""
    if os.name == "nt" or os.getuid() != 0:
        pytest.skip("only root can become another user")
    for parent in (folder, *folder.parents):  # pytest's folders are its own
        if parent.owner() == "root" and parent.stat().st_mode & 0o055 != 0o055 and "pytest" in str(parent):
            parent.chmod(parent.stat().st_mode | 0o055)
    become = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    imports = "from lulc_utils.files import check_readable, complete_or_absent\n"  # before the rights are gone
    run = subprocess.run(
        [sys.executable, "-c", imports + become + textwrap.dedent(code)], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@linux
def test_permission_denied_is_a_sentence_of_its_own(tmp_path):
    path = tensors.write(tmp_path / "secret.safetensors", {"x": torch.zeros(2)})
    path.chmod(0o600)
    code = """
        try: check_readable("secret.safetensors")
        except PermissionError as error: print(error)
        try:
            with complete_or_absent("new.safetensors"): print("never")
        except PermissionError as error: print(error)
    """
    assert run_as_nobody(tmp_path, code).splitlines() == [
        "You may not read secret.safetensors (permission denied); ask its owner, or choose another file.",
        "You may not write new.safetensors (permission denied); choose a folder of your own.",
    ]
    assert names(tmp_path) == ["secret.safetensors"]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        tensors.read(path)


def test_a_source_that_cannot_be_read_is_not_blamed_on_the_target(tmp_path):
    error = PermissionError(13, "Permission denied", "/somewhere/source.tif")
    with pytest.raises(PermissionError) as caught, complete_or_absent(tmp_path / "a.txt"):
        raise error
    assert caught.value is error


@linux
def test_a_full_disk_is_a_sentence(tmp_path):
    code = """
        import resource, signal, sys, torch
        from lulc_utils import tensors
        from lulc_utils.files import complete_or_absent
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))  # the nearest to a small disk
        def plain(path):
            with complete_or_absent(path) as part, part.open("wb") as file:
                file.write(bytes(20_000))
        for write in (plain, lambda path: tensors.write(path, {"x": torch.zeros(20_000)})):
            try: write("big.safetensors")
            except OSError as error: print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["There is no space for big.safetensors; make room or choose another folder."] * 2
    assert names(tmp_path) == []


def test_names_up_to_the_longest_are_written_and_longer_ones_refused(tmp_path):
    for length in (249, 255):
        with complete_or_absent(tmp_path / ("n" * (length - 4) + ".npy")) as part:
            np.save(part, np.zeros(3))
    assert sorted(len(name) for name in names(tmp_path)) == [249, 255]
    with (
        pytest.raises(ValueError, match=r"The name n{40}\.\.\. is too long"),
        complete_or_absent(tmp_path / ("n" * 256)),
    ):
        raise AssertionError("the block must not run")


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file is a file, not a folder"), complete_or_absent(tmp_path / "file" / "a.txt"):
        raise AssertionError("the block must not run")


@linux
def test_what_a_killed_process_leaves_is_known(tmp_path):
    code = """
        import os, signal, sys
        from lulc_utils.files import complete_or_absent
        with complete_or_absent("a [1].tif") as part:
            part.with_name(part.name + ".ovr").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path)
    assert run.returncode == -signal.SIGKILL
    (tmp_path / "a [2].tif").touch()
    left = leftovers(tmp_path / "a [1].tif")
    assert len(left) == 2 and names(tmp_path) == sorted([*(p.name for p in left), "a [2].tif"])
    assert leftovers(tmp_path / "a [2].tif") == [] == leftovers(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("none.pt", None, FileNotFoundError, "There is no weights file"),
        ("a.txt", b"x", ValueError, "must be a .safetensors, .pth or .pt file"),
        ("a.pt", b"x", ValueError, "was not loaded"),
        ("a.safetensors", b"x", ValueError, "not a complete safetensors file"),
    ],
)
def test_only_tensors_are_read(tmp_path, name, content, error, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=words):
        tensors.read(tmp_path / name)


def test_tensors_come_back_with_their_notes(tmp_path):
    path = tensors.write(tmp_path / "a.safetensors", {"x": torch.arange(6).reshape(2, 3).T}, {"seed": "3"})
    content, notes = tensors.read(path)
    assert content["x"].tolist() == [[0, 3], [1, 4], [2, 5]] and notes == {"seed": "3"}


@linux
def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "map.tif"
    stale = tmp_path / ".map.0123456789ab.part.tif"
    stale.touch()
    with alone(path):
        assert names(tmp_path) == ["map.tif.lock"]  # what a killed run left is gone
        with pytest.raises(RuntimeError, match="Another run is writing"), alone(path):
            raise AssertionError("the block must not run")
    assert names(tmp_path) == []


@linux
def test_a_lock_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "map.tif.lock")  # opening it would wait for ever
    with pytest.raises(ValueError, match="is a pipe"), alone(tmp_path / "map.tif"):
        raise AssertionError("the block must not run")
