"""The page *Performance* says what was measured, and refuses what was not; rows of the benchmark are complete."""

import json

import bench
import measured
import pytest
import rows
from rows import Row

RATIO = Row("copying", 0.6123, "ratio", "Reading and writing.", "the speed of GDAL", ("at least", 0.5), threads=1)
SLOW = Row("the CRF", 4.0, "s", "One image.", target=("at most", 3), threads=2)
RATE = Row("drawing", 1234.5, "images/s", "One process.", threads=2)


@pytest.fixture
def kept(tmp_path):
    """A complete file: every part with the same three rows."""
    for part in measured.TITLES:
        rows.keep(part, [RATIO, SLOW, RATE], tmp_path / "performance.json")
    return tmp_path / "performance.json"


def test_the_page_says_what_was_compared_asked_and_reached(kept):
    page = measured.performance(measured.benchmark(kept))
    parts = len(measured.TITLES)
    assert f"{2 * parts} of these numbers were given a target: **{parts} reach it, {parts} do not.**" in page
    assert "| copying | 0.61 times the speed of GDAL | at least 0.5 times | met |" in page
    assert "| the CRF | 4.00 s | at most 3 s | **missed** |" in page
    assert "- **drawing: 1234 images/s.** One process." in page and "| drawing" not in page
    for title in measured.TITLES.values():
        assert page.count(f"## {title}\n") == 1
    about = rows.machine()
    assert f"*{about['processor']}, {about['cores']} cores, one thread or 2 threads, PyTorch {about['torch']}" in page


def test_a_missing_or_incomplete_file_is_refused_with_what_to_run(kept, tmp_path):
    with pytest.raises(ValueError, match="There is no none.json; run `python scripts/measure/bench/bench.py --keep`"):
        measured.benchmark(tmp_path / "none.json")
    whole = json.loads(kept.read_text())

    def refused(change):
        broken = json.loads(json.dumps(whole))
        change(broken)
        kept.write_text(json.dumps(broken))
        with pytest.raises(ValueError, match="the part 'crf'.*run `python .*/bench.py --only crf --keep`"):
            measured.benchmark(kept)

    refused(lambda parts: parts.pop("crf"))
    refused(lambda parts: parts["crf"]["rows"].clear())
    refused(lambda parts: parts["crf"]["rows"][1].pop("target"))
    refused(lambda parts: parts["crf"]["machine"].pop("torch"))


def test_a_part_replaces_only_its_own_rows(kept):
    before = json.loads(kept.read_text())
    rows.keep("crf", [RATE], kept)
    after = json.loads(kept.read_text())
    assert [row["name"] for row in after["crf"]["rows"]] == ["drawing"]
    assert {k: v for k, v in after.items() if k != "crf"} == {k: v for k, v in before.items() if k != "crf"}


def test_rows_know_whether_they_reach_their_target():
    assert (RATIO.met, SLOW.met, RATE.met) == (True, False, None)
    assert "0.612 times the speed of GDAL (at least 0.5 was the target: met). Reading and writing." in str(RATIO)
    assert "4 s (at most 3 was the target: missed)" in str(SLOW)
    with pytest.raises(ValueError, match="is a ratio; say what it is compared with"):
        Row("x", 1.0, "ratio", "Words.")
    with pytest.raises(ValueError, match="must be 'at least' or 'at most', not 'about'"):
        Row("x", 1.0, "s", "Words.", target=("about", 2.0))


def test_every_part_of_the_benchmark_has_a_place_on_the_page():
    assert [*bench.PARTS, *bench.LONG] == [*measured.TITLES]


@pytest.mark.usefixtures("one_thread")
def test_a_run_prints_its_rows_and_keeps_them_only_when_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rows.keep, "__defaults__", (tmp_path / "kept.json",))
    monkeypatch.setitem(bench.PARTS, "simulator", lambda: [bench.simulator(size=64)])
    assert bench.main(["--only", "simulator"]) == 0
    assert "simulated aerial scenes: " in capsys.readouterr().out and not list(tmp_path.iterdir())
    assert bench.main(["--only", "simulator", "--keep"]) == 0
    (row,) = json.loads((tmp_path / "kept.json").read_text())["simulator"]["rows"]
    assert measured.ROW == row.keys() and row["threads"] == 1 and row["value"] > 0
    with pytest.raises(SystemExit):
        bench.main(["--only", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


def test_the_kept_file_is_complete_and_measured_with_known_versions():
    for part in measured.benchmark().values():
        assert part["machine"]["cores"] >= 1 and part["machine"]["date"] >= "2026-11-25"
        assert all(row["value"] > 0 or row["unit"] == "points" for row in part["rows"])  # points are differences


def test_the_page_how_it_is_tested_promises_what_was_counted():
    kept = json.loads((measured.MEASURED / "faults.json").read_text())
    assert kept["tried"] >= 120 and kept["kept"] >= 60
    assert not any(kept[name] for name in ("wrong", "tracebacks", "lost or half-written"))
    assert kept["tried"] == kept["right"] + kept["refused plainly"] + kept["kept"]
    assert f"| {kept['tried']} |" in measured.faults(kept)


def test_the_first_screen_shows_how_long_every_chapter_runs(monkeypatch):
    import clock

    monkeypatch.setattr(clock.plt, "show", lambda: None)
    clock.chart()
    seconds = json.loads((measured.MEASURED / "run_times.json").read_text())["seconds"]
    axis = clock.plt.gca()
    assert [bar.get_width() for bar in axis.patches] == [*seconds.values()]
    assert [int(t.get_text()[0]) for t in axis.get_yticklabels()] == [*range(len(seconds))]
    clock.plt.close("all")


def test_a_reader_finds_one_rate_and_what_follows_from_it():
    import speed

    parts = measured.benchmark()
    per_core, most = speed.rate(parts), speed.driver(parts)
    assert f"| {per_core:.2f} |" in speed.rates(parts) and f"| {most:.2f} |" in speed.rates(parts)
    assert f"{int(most / per_core)} workers" in speed.countries(parts)
    times = {"seconds": {"a": 60, "b": 120}, "cores": 2}
    assert "1.0 to 2.0 minutes" in speed.three_numbers(
        parts, times
    ) and f"{per_core:.2f} megapixels" in speed.three_numbers(parts, times)
    with pytest.raises(ValueError, match="no row 'x' in its part 'workers'"):
        speed.row(parts, "workers", "x")
