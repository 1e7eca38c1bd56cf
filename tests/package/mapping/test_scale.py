"""Maps by many workers are the maps of one; a lost worker costs its own windows and nothing else."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from lulc_utils import mapping
from lulc_utils.cli import main
from lulc_utils.mapping import command, inputs, scale, worker
from lulc_utils.scene import LandCover

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

CLASSES = (LandCover("water", "#0072b2"), LandCover("grass", "#7bc97b"), LandCover("bare land", "#e6c79c"))
OPTIONS = {"window": 48, "overlap": 16, "progress": False}
HERE = {"processes": False, "dashboard_address": ":0", "silence_logs": 50}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def two():
    """Two worker processes on this machine."""
    with scale.local(2) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture(scope="module")
def light():
    """Four worker threads in this process: no import to wait for."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=2, **HERE) as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            yield client


@pytest.fixture
def source(tmp_path):
    """A raster with a hole, whose size is no multiple of anything."""
    pixels = np.random.default_rng(0).integers(1, 250, (3, 211, 307)).astype(np.uint8)
    pixels[:, :70, 100:180] = 0
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": 211, "width": 307, "nodata": 0}
    profile |= {"crs": CRS.from_epsg(32633), "transform": from_origin(500_000, 6_000_000, 10, 10)}
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(pixels)
    return tmp_path / "a.tif"


def model(log=None, pause=0.0):
    """A model with context, so that blending shows; it notes who computed which window."""

    def predict(pixels):
        import os
        import time

        import numpy as np

        if log:
            with open(log, "a") as file:
                file.write(f"{os.getpid()} {pixels.sum(dtype=int)}\n")
        time.sleep(pause)
        x = pixels.mean(0) + pixels[0].mean()
        p = np.stack([-np.abs(x - c) for c in (150, 250, 350)]) / 20
        return np.exp(p + np.linspace(0, 3, p.shape[1])[:, None] * np.arange(3)[:, None, None])

    return mapping.Model(predict, "context", "1", CLASSES)


def job(source, **changes):
    """What a worker is sent."""
    plan = {"source": "a.tif", "content_of_the_source": "", "grid": [], "resampling": "bilinear", "bands": [1, 2, 3]}
    plan |= {"model": "context", "model_hash": "1", "classes": CLASSES, "window": 96, "overlap": 16}
    return worker.Job(str(source), model(), mapping.Warp(), worker.Plan(**plan | changes), local=True)


def pixels_of(path):
    with rasterio.open(path) as file:
        return file.read(1)


def lines(path):
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


# ---------------------------------------------------------------------------------------------------- the maps


@pytest.mark.slow
def test_processes_and_serial_run_give_the_same_map(tmp_path, source, two, monkeypatch):
    serial = mapping.map_raster(source, model(), tmp_path / "serial.tif", **OPTIONS)
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere
    log = tmp_path / "log"
    out = mapping.map_raster("a.tif", model(str(log)), tmp_path / "two.tif", scheduler=two, **OPTIONS)
    np.testing.assert_array_equal(pixels_of(out), pixels_of(serial))
    assert str(os.getpid()) not in {pid for pid, _ in lines(log)}, "computed by the workers"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "log", "serial.tif", "two.tif"]


@pytest.mark.parametrize("options", [{"overlap": 0}, {"crs": "EPSG:4326", "window": 200}, {"window": 400}])
def test_four_threads_give_the_same_map(tmp_path, source, light, options):
    options = OPTIONS | options
    serial = mapping.map_raster(source, model(), tmp_path / "serial.tif", **options)
    four = mapping.map_raster(source, model(), tmp_path / "four.tif", scheduler=light, **options)
    np.testing.assert_array_equal(pixels_of(four), pixels_of(serial))


def test_an_address_is_enough_and_one_worker_gives_the_same(tmp_path, source):
    serial = mapping.map_raster(source, model(), tmp_path / "serial.tif", **OPTIONS)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, **HERE, protocol="tcp") as cluster:
        address = cluster.scheduler_address
        mapped = mapping.map_raster(source, model(), tmp_path / "one.tif", scheduler=address, **OPTIONS)
    np.testing.assert_array_equal(pixels_of(mapped), pixels_of(serial))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_worker_costs_only_its_own_windows(tmp_path, source, two):
    serial = mapping.map_raster(source, model(), tmp_path / "serial.tif", **OPTIONS)
    log, killed = tmp_path / "log", []

    def kill_one():
        while len(lines(log)) < 20:
            time.sleep(0.01)
        killed.append(lines(log)[-1][0])
        os.kill(int(killed[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    mapping.map_raster(source, model(str(log), 0.03), tmp_path / "m.tif", scheduler=two, **OPTIONS)
    killer.join()
    np.testing.assert_array_equal(pixels_of(tmp_path / "m.tif"), pixels_of(serial))
    rows, cols = (mapping.spans(n, 48, 16) for n in (211, 307))
    computed = [window for _, window in lines(log)]
    again = len(computed) - len(set(computed))
    assert len(set(computed)) == len(rows) * len(cols) - 1, "each window but the one without data"
    by_others = [window for pid, window in lines(log) if pid != killed[0]]
    assert len(by_others) == len(set(by_others)), "what the other worker had done was not done again"
    assert again <= 2 * scale.AHEAD + 1, "only what the dead one was at, or had not handed over"


def test_a_run_that_lost_its_cluster_goes_on_without_one(tmp_path, source, monkeypatch):
    monkeypatch.setattr(scale, "WAIT", 2)
    serial = mapping.map_raster(source, model(), tmp_path / "serial.tif", **OPTIONS)
    log, out = tmp_path / "log", tmp_path / "m.tif"
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, **HERE, protocol="tcp")

    def stop():
        while len(lines(log)) < 25:
            time.sleep(0.01)
        cluster.close()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(RuntimeError, match="The Dask scheduler .* is gone .* run again to continue from"):
        mapping.map_raster(source, model(str(log), 0.02), out, scheduler=cluster.scheduler_address, **OPTIONS)
    stopper.join()
    before = len(lines(log))
    mapping.map_raster(source, model(str(log)), out, **OPTIONS)
    np.testing.assert_array_equal(pixels_of(out), pixels_of(serial))
    assert len(lines(log)) - before < len(mapping.spans(211, 48, 16)) * len(mapping.spans(307, 48, 16)) - 1


def test_what_is_wrong_on_a_worker_is_said_here(tmp_path, source, light, monkeypatch):
    bad = mapping.Model(lambda p: p[:2], "bad", "1", CLASSES)
    with pytest.raises(ValueError, match="must answer 3 classes x 48 x 48 pixels"):
        mapping.map_raster(source, bad, tmp_path / "m.tif", scheduler=light, **OPTIONS)
    lock = threading.Lock()
    stuck = mapping.Model(lambda p: lock, "stuck", "", CLASSES)
    with pytest.raises(ValueError, match="model cannot be sent to the workers .*lock"):
        mapping.map_raster(source, stuck, tmp_path / "m.tif", scheduler=light, **OPTIONS)
    spans = mapping.spans(211, 48, 16)[0], mapping.spans(307, 48, 16)[0]
    with pytest.raises(ValueError, match="worker runs lulc_utils .* this machine 0.0; install the same"):
        worker.compute_elsewhere(job(source, version="0.0"), spans)
    with pytest.raises(ValueError, match="worker sees another a.tif than this machine"):
        worker.compute_elsewhere(job(source, grid=[]), spans)
    source.unlink()
    with pytest.raises(FileNotFoundError, match="a worker cannot see it; .* shared folder or under an address"):
        worker.compute_elsewhere(job(source, grid=[]), spans)


def test_only_what_others_need_travels(source):
    """Classes where a window counts alone, probabilities only in the cross-overs, nothing of the rest attached."""
    spans = mapping.spans(211, 96, 16)[1], mapping.spans(307, 96, 16)[1]
    with rasterio.open(source) as view:
        answer = worker.compute_elsewhere(job(source, grid=inputs.grid_of(view)), spans)
    rows, cols = (span.end - span.begin for span in spans)
    assert answer.labels.shape == (rows, cols) and answer.labels.dtype == np.uint8
    assert answer.top.shape == answer.bottom.shape == (3, 16, cols)
    assert answer.left.shape == answer.right.shape == (3, rows - 32, 16)
    assert all(part.base is None and part.flags.c_contiguous for part in answer[1:])
    whole = 3 * 4 * rows * cols
    assert sum(part.nbytes for part in answer) < 0.75 * whole


def test_local_workers_have_one_thread_and_keep_their_memory(two):
    environments = two.run(lambda: dict(os.environ))
    assert len(environments) == 2
    for environment in environments.values():
        assert environment["OMP_NUM_THREADS"] == "1" and "MALLOC_TRIM_THRESHOLD_" not in environment


# ---------------------------------------------------------------------------------------------- the mechanism


def test_results_come_in_order_and_few_wait(tmp_path, light):
    begun, ahead = tmp_path / "begun", []

    def slow_first(path, item):
        with path.open("a") as file:
            file.write(f"{item}\n")
        time.sleep(0.1 if item == 0 else 0)
        return 3 * item

    for n, result in enumerate(scale.in_order(light, slow_first, begun, range(60))):
        assert result == 3 * n
        ahead.append(len(lines(begun)) - n)
    assert 1 <= max(ahead) <= 4 * scale.AHEAD and len(lines(begun)) == 60
    assert list(scale.in_order(light, slow_first, begun, [])) == []


def test_stopping_early_stops_the_workers(tmp_path, light):
    def slow(path, item):
        with path.open("a") as file:
            file.write("x\n")
        time.sleep(0.02)

    results, before = scale.in_order(light, slow, tmp_path / "begun", range(1000)), set(light.futures)
    next(results)
    results.close()
    time.sleep(0.2)
    assert len(lines(tmp_path / "begun")) <= 4 * scale.AHEAD
    assert set(light.futures) <= before


def test_errors_of_the_function_come_as_they_are(light):
    def no_file(shared, item):
        raise FileNotFoundError("There is no file x")

    class Foreign:
        def __reduce__(self):
            return __import__, ("no_such_package",)

    with pytest.raises(FileNotFoundError, match="There is no file x"):
        list(scale.in_order(light, no_file, None, [1]))
    with pytest.raises(RuntimeError, match="A worker lacks a package .*no_such_package.*; install the same on all"):
        list(scale.in_order(light, lambda shared, item: item, Foreign(), [1]))


@pytest.mark.slow
def test_an_item_that_kills_every_worker_is_given_up():
    def die(shared, item):
        import os

        os._exit(1)

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), scale.local(1) as client:
        with pytest.raises(RuntimeError, match="killed its worker, .* more memory or take smaller windows"):
            list(scale.in_order(client, die, None, [1]))


def test_missing_parts_are_named(tmp_path, source, monkeypatch):
    monkeypatch.setattr(scale, "ANSWER", 0.5)
    monkeypatch.setattr(scale, "WAIT", 0.5)
    with pytest.raises(RuntimeError, match="scheduler tcp://127.0.0.1:9 does not answer; start it"):
        mapping.map_raster(source, model(), tmp_path / "m.tif", scheduler="tcp://127.0.0.1:9", **OPTIONS)
    with pytest.raises(RuntimeError, match="scheduler no address does not answer"):
        mapping.map_raster(source, model(), tmp_path / "m.tif", scheduler="no address", **OPTIONS)
    with distributed.LocalCluster(n_workers=0, **HERE) as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            with pytest.raises(RuntimeError, match="has no workers; start"):
                mapping.map_raster(source, model(), tmp_path / "m.tif", scheduler=client, **OPTIONS)
    with pytest.raises(ValueError, match="at least 1 worker, not 0"), scale.local(0):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RuntimeError, match=r"needs Dask; install it with `pip install 'lulc-utils\[scale\]'`"):
        mapping.map_raster(source, model(), tmp_path / "m.tif", scheduler="tcp://127.0.0.1:9", **OPTIONS)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"], "nothing half-written"


@pytest.mark.slow
def test_the_command_line_takes_workers_or_a_scheduler(tmp_path, source, two, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_model", lambda path, **_: model())
    arguments = [str(source), str(tmp_path / "m.tif"), "--model", "any", "--window", "48", "--overlap", "16", "--quiet"]
    assert main(["map", *arguments, "--scheduler", two.scheduler.address]) == 0
    serial = mapping.map_raster(source, model(), tmp_path / "serial.tif", **OPTIONS)
    np.testing.assert_array_equal(pixels_of(tmp_path / "m.tif"), pixels_of(serial))
    assert main(["map", *arguments, "--workers", "0"]) == 2
    assert "at least 1 worker" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["map", *arguments, "--workers", "2", "--scheduler", "x"])
    assert "not allowed with argument" in capsys.readouterr().err
    asked = []
    monkeypatch.setattr(scale, "local", lambda n: asked.append(n) or scale.client(two))
    assert main(["map", *arguments, "--workers", "2"]) == 0 and asked == [2]
