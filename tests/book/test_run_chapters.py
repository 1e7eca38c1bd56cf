"""Running all chapters: side by side, failures reported, nothing half-written, refusals before anything runs."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
import run_chapters


@pytest.fixture
def folder(tmp_path):
    """Two small chapters: one that writes its numbers, one that fails in its second cell."""
    texts = {
        "good": [
            "import json, os\nkept = {'headline': f\"seed {seed} with {os.environ['OMP_NUM_THREADS']} thread(s)\"}"
        ],
        "bad": ["print('so far so good')", "raise RuntimeError('the lake is dry')"],
        "slow": ["import time, pathlib\npathlib.Path(results_file).with_name('begun').touch()\ntime.sleep(120)"],
    }
    texts["good"] += ["json.dump(kept, open(results_file, 'w'))"]
    for name, sources in texts.items():
        parameters = nbformat.v4.new_code_cell("seed = 0\nresults_file = ''", metadata={"tags": ["parameters"]})
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        cells = [parameters, *map(nbformat.v4.new_code_cell, sources)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / f"{name}.ipynb")
    return tmp_path


@pytest.mark.slow
def test_a_failing_chapter_does_not_stop_the_others(folder):
    out = folder / "out"
    todo = {name: {"seed": 7, "results_file": str(out / f"{name}.json")} for name in ("bad", "good")}
    bad, good = run_chapters.run(todo, out, jobs=2, timeout=60, notebooks=folder)
    assert (bad["status"], bad["result"]) == ("failed", "RuntimeError: the lake is dry")
    threads = max(1, run_chapters.cores() // 2)
    assert (good["status"], good["result"]) == ("passed", f"seed 7 with {threads} thread(s)")
    assert sorted(p.name for p in out.iterdir()) == ["bad.ipynb", "good.ipynb", "good.json"]
    assert "so far so good" in (out / "bad.ipynb").read_text(encoding="utf8")


def test_a_chapter_without_its_numbers_has_failed(folder):
    out = folder / "out"
    out.mkdir()
    (out / "good.json").write_text('{"results": {"seed": 1}}')
    row = run_chapters.outcome("good", 0, 1.0, out / "good.ipynb", out / "good.json")
    assert row["status"] == "failed" and "headline" in row["result"]
    row = run_chapters.outcome("good", 0, 1.0, out / "good.ipynb", out / "none.json")
    assert row["status"] == "failed" and "none.json" in row["result"]


@pytest.mark.slow
def test_an_interrupt_leaves_nothing_half_written(folder):
    out = folder / "out"
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(run_chapters.ROOT / 'scripts' / 'tools')!r})\n"
        f"import run_chapters\nout = pathlib.Path({str(out)!r})\n"
        "run_chapters.run({'slow': {'results_file': str(out / 'slow.json')}}, out, 1, 300, out.parent)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if (out / "begun").exists():
            break
        time.sleep(0.1)
    assert (out / "begun").exists(), "the chapter never began"
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors and process.returncode != 0
    assert [p.name for p in out.iterdir()] == ["begun"]


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["99_nothing"], "no chapter 99_nothing"),
        (["--profile", "fast"], "no profile 'fast'"),
        (["-p", "sede", "1", "00_start_here"], "has no parameter sede"),
        (["--jobs", "0"], "at least 1"),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(arguments, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run_chapters.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        run_chapters.main()
    assert sentence in capsys.readouterr().err


def test_the_table_says_minutes_and_seconds():
    rows = [{"chapter": "a", "status": "passed", "seconds": 125.4, "result": "mIoU 0.5 | simulated"}]
    assert run_chapters.table(rows).splitlines()[2] == "| a | passed | 2:05 | mIoU 0.5 / simulated |"


def test_kept_are_the_summary_and_on_demand_numbers_and_times(tmp_path, monkeypatch):
    monkeypatch.setattr(run_chapters, "ROOT", tmp_path)
    (tmp_path / "book" / "measured").mkdir(parents=True)
    rows = [{"chapter": c, "status": s, "seconds": 61.5, "result": "x"} for c, s in (("a", "passed"), ("b", "failed"))]
    (tmp_path / "a.json").write_text("{}")
    asked = ["--keep-results", "--keep-times"]
    run_chapters.keep(run_chapters.options().parse_args(asked), rows, tmp_path, jobs=1)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf8"))
    assert summary["chapters"]["b"] == {"status": "failed", "seconds": 61.5, "result": "x"} and summary["machine"]
    assert "| a | passed | 1:02 | x |" in (tmp_path / "summary.md").read_text(encoding="utf8")
    kept = tmp_path / "book" / "measured"
    assert [p.name for p in kept.iterdir()] == ["a.json"], "no times of a run in which a chapter failed"
    run_chapters.keep(run_chapters.options().parse_args(asked), rows[:1], tmp_path, jobs=1)
    assert json.loads((kept / "run_times.json").read_text(encoding="utf8"))["seconds"] == {"a": 61.5}
