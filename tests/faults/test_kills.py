"""Killed at random moments, or two at once: what is there is whole, nothing is lost, and the next run goes on."""

import multiprocessing
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import victims

from lulc_utils import raster, tensors

KILLS, PAIRS = 20, 5
LIMIT = 60  # seconds after which a process that should have answered has failed the test
FORKS = "forkserver" in multiprocessing.get_all_start_methods()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FORKS, reason="needs fork")]
# Not forks of this process, whose other threads may hold a lock: they come from a server of one thread that has done
# nothing but import.
PROCESSES = multiprocessing.get_context("forkserver" if FORKS else None)
LOADED = "pytest", "lulc_utils.contrastive", "lulc_utils.data", "lulc_utils.mapping", "yaml"


@pytest.fixture(autouse=True)
def limited():
    """Whatever happens, a test ends."""

    def late(*_):
        raise TimeoutError("A test of killed processes did not end.")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(5 * LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def started(job, folder):
    """A job in a process of its own, which waits for a word; the process and the line to it."""
    PROCESSES.set_forkserver_preload([*LOADED])
    line, other = PROCESSES.Pipe()
    process = PROCESSES.Process(target=victims.run, args=(other, job, folder), daemon=True)
    process.start()
    other.close()
    try:
        assert answer(line) == "ready"
        yield process, line
    finally:
        process.kill()
        process.join(LIMIT)


def answer(line):
    assert line.poll(LIMIT), "a process does not answer"
    return line.recv()


def done(job, folder):
    """Do the whole job; the seconds it took."""
    with started(job, folder) as (_, line):
        start = time.monotonic()
        line.send("go")
        assert answer(line) == "done"
        return time.monotonic() - start


def kills(job, folder, seconds):
    """Kill the job KILLS times while it is running, at random moments of the seconds it takes; yields after each."""
    rng, running = np.random.default_rng(0), 0
    for _ in range(5 * KILLS):
        with started(job, folder) as (process, line):
            line.send("go")
            time.sleep(rng.uniform(0, seconds))
            process.kill()
            process.join(LIMIT)
            if line.poll() and _said(line):
                seconds *= 0.8  # it was done: the machine has less to do than before
            else:
                running += 1
        yield
        if running == KILLS:
            return
    raise AssertionError("The job was hardly ever killed before its end.")


def _said(line):
    try:
        return line.recv()
    except (EOFError, ConnectionResetError):
        return ""


def two(job, folder):
    """How two at once end."""
    with started(job, folder) as (_, first), started(job, folder) as (_, second):
        for line in (first, second):
            line.send("go")
        return sorted([answer(first), answer(second)])


def one_or_both(ends):
    """Both are done, or one was refused: it waits for nothing."""
    return ends[1] == "done" and (ends[0] == "done" or "Another run is writing" in ends[0])


@pytest.fixture
def mapped(tmp_path):
    """A folder with a raster to map, the right classes, and the seconds a map takes."""
    victims.to_map(tmp_path)
    seconds = done(victims.make_map, tmp_path)
    right = raster.read_classes(tmp_path / "map.tif")
    (tmp_path / "map.tif").unlink()
    return tmp_path, right, seconds


def test_a_killed_map_goes_on_to_the_same_pixels(mapped, tried):
    tried("kept", KILLS)
    folder, right, seconds = mapped
    out = folder / "map.tif"
    continued = 0
    for _ in kills(victims.make_map, folder, seconds):
        if out.exists():  # complete, or not there
            np.testing.assert_array_equal(raster.read_classes(out), right)
        continued += (folder / "map.tif.state.json").exists()
        done(victims.make_map, folder)
        np.testing.assert_array_equal(raster.read_classes(out), right)
        assert sorted(p.name for p in folder.iterdir()) == ["a.tif", "map.tif"]
        out.unlink()
    assert continued, "some had a part to go on with"


def weights(path):
    """All numbers of a complete file, as bytes; the order of its notes differs."""
    return b"".join(value.numpy().tobytes() for _, value in sorted(tensors.read(path)[0].items()))


@pytest.fixture
def trained(tmp_path):
    """The right weights, and the seconds a training takes."""
    (tmp_path / "right").mkdir()
    seconds = done(victims.train, tmp_path / "right")
    return weights(tmp_path / "right" / "a.safetensors"), seconds


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, trained, tried):
    tried("kept", KILLS)
    right, seconds = trained
    folder = tmp_path / "killed"
    folder.mkdir()
    continued = 0
    for _ in kills(victims.train, folder, seconds):
        if (folder / "a.checkpoint").exists():
            continued += torch.load(folder / "a.checkpoint", weights_only=True)["step"] >= 1
        if (folder / "a.safetensors").exists():
            assert weights(folder / "a.safetensors") == right
        done(victims.train, folder)
        assert weights(folder / "a.safetensors") == right
        left = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        assert left == ["a.checkpoint", "a.jsonl", "a.safetensors"]
        assert len((folder / "a.jsonl").read_text().splitlines()) == 5
        for path in folder.iterdir():
            path.unlink()
    assert continued, "some had a checkpoint to go on from"


def cached(folder):
    """All files of the cache, but for the empty lock of a process that was killed when it had everything."""
    root = folder / "cache" / "tiny"
    files = [p for p in root.iterdir() if p.is_file() and p.name != "fetch.lock"] if root.exists() else []
    return {p.name: p.read_bytes() for p in files}


def clean(folder):
    for name in cached(folder):
        (folder / "cache" / "tiny" / name).unlink()


def test_a_killed_fetch_leaves_good_files_and_is_cleaned_up_by_the_next(tmp_path, tried):
    tried("kept", KILLS)
    files = victims.to_fetch(tmp_path)
    seconds = done(victims.fetch, tmp_path)
    clean(tmp_path)
    for _ in kills(victims.fetch, tmp_path, seconds):
        final = {name: body for name, body in cached(tmp_path).items() if ".part" not in name}
        assert final.items() <= files.items(), "half a file has its final name"
        done(victims.fetch, tmp_path)
        assert cached(tmp_path) == files, "and nothing else"
        clean(tmp_path)


def test_two_fetches_of_one_cache(tmp_path, tried):
    tried("kept", PAIRS)
    files = victims.to_fetch(tmp_path)
    for _ in range(PAIRS):
        assert two(victims.fetch, tmp_path) == ["done", "done"] and cached(tmp_path) == files
        clean(tmp_path)


def test_two_maps_of_one_name(mapped, tried):
    tried("kept", PAIRS)
    folder, right, _ = mapped
    for _ in range(PAIRS):
        assert one_or_both(two(victims.make_map, folder))
        np.testing.assert_array_equal(raster.read_classes(folder / "map.tif"), right)
        assert sorted(p.name for p in folder.iterdir()) == ["a.tif", "map.tif"]
        (folder / "map.tif").unlink()


def test_two_trainings_of_one_name(tmp_path, trained, tried):
    tried("kept", PAIRS)
    for i in range(PAIRS):
        folder = tmp_path / str(i)
        folder.mkdir()
        assert one_or_both(two(victims.train, folder))
        assert weights(folder / "a.safetensors") == trained[0]
        assert not [p for p in folder.iterdir() if p.suffix in (".lock", ".part")]
