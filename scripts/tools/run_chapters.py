"""Run the chapters with papermill under a profile, for instructors and for the book's own measured results.

    python scripts/tools/run_chapters.py --profile full                    every chapter of the table of contents
    python scripts/tools/run_chapters.py --profile quick 01_dino_features  one chapter
    python scripts/tools/run_chapters.py -p seed 7                         one parameter changed everywhere

Chapters run side by side, each with its share of the processor cores. Executed notebooks, the numbers of each chapter
(JSON) and a summary (summary.md, summary.json) go to build/PROFILE. A chapter that fails does not stop the others; its
notebook shows where, and the exit code is 1. A chapter, profile or parameter that does not exist is refused before
anything runs (papermill itself would ignore a misspelled parameter).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from threading import Event

import nbformat
import papermill
import yaml
from tqdm import tqdm

from lulc_utils.files import complete_or_absent

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def pages() -> list[str]:
    """The pages of the book, in the order of the table of contents, each before those below it."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    entries = [entry for part in toc["parts"] for entry in part["chapters"]]
    below = [[entry["file"], *(inner["file"] for inner in entry.get("sections", []))] for entry in entries]
    return [toc["root"], *sum(below, [])]


def chapters() -> list[str]:
    """Names of the chapters, in the order of the table of contents."""
    return [page.removeprefix("notebooks/") for page in pages() if page.startswith("notebooks/")]


def profiles() -> list[str]:
    """Names of the profiles; quick means the chapters unchanged, so it has no folder."""
    return ["quick", *sorted(folder.name for folder in (NOTEBOOKS / "profiles").iterdir() if folder.is_dir())]


def parameters(profile: str, chapter: str, changed: dict | None = None) -> dict:
    """What a profile sets in a chapter, plus `changed`; ValueError for a parameter that the chapter does not know."""
    if profile not in profiles():
        raise ValueError(f"There is no profile '{profile}'; there are {', '.join(profiles())}.")
    path = NOTEBOOKS / "profiles" / profile / f"{chapter}.yml"
    chosen = (yaml.safe_load(path.read_text(encoding="utf8")) or {}) if path.exists() else {}
    chosen |= changed or {}
    known = papermill.inspect_notebook(str(NOTEBOOKS / f"{chapter}.ipynb"))
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise ValueError(
            f"{chapter} has no parameter {', '.join(unknown)} (profile '{profile}'); it has {', '.join(known)}."
        )
    return chosen


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(source: Path, out: Path, chosen: dict, threads: int, timeout: int) -> subprocess.Popen:
    """Start executing a notebook in its own process, with its share of threads."""
    command = [sys.executable, "-m", "papermill", str(source), str(out), "--cwd", str(source.parent)]
    command += ["--parameters_yaml", yaml.safe_dump(chosen), "--execution-timeout", str(timeout), "--no-progress-bar"]
    settings = {name: str(threads) for name in THREADS}
    with out.with_suffix(".log").open("w", encoding="utf8") as log:
        return subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)


def error_line(out: Path) -> str:
    """Why a chapter failed: the error of its notebook, or the last line that papermill printed."""
    if out.exists():
        for cell in nbformat.read(out, as_version=4).cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    return f"{output.ename}: {output.evalue}".splitlines()[0]
    lines = out.with_suffix(".log").read_text(encoding="utf8").strip().splitlines()
    return lines[-1] if lines else "papermill stopped without a message"


def outcome(chapter: str, code: int, seconds: float, out: Path, results: Path) -> dict:
    """Row of the summary for a chapter that has ended."""
    row = {"chapter": chapter, "status": "passed", "seconds": round(seconds, 1), "result": ""}
    if code != 0:
        return row | {"status": "failed", "result": error_line(out)}
    try:
        return row | {"result": json.loads(results.read_text(encoding="utf8"))["headline"]}
    except (OSError, ValueError, KeyError) as error:
        return row | {"status": "failed", "result": f"no main result in {results.name}: {error!r}"}


def run(waiting: dict[str, dict], folder: Path, jobs: int, timeout: int, notebooks: Path = NOTEBOOKS) -> list[dict]:
    """Execute chapters side by side, {chapter: parameters}; rows of the summary, in the given order.

    An interrupt (Ctrl-C) ends the running chapters and removes what they had begun to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes, stop, threads = [], Event(), max(1, cores() // jobs)

    def execute(chapter: str) -> dict:
        results, since = Path(waiting[chapter]["results_file"]), time.perf_counter()
        results.unlink(missing_ok=True)  # numbers of an earlier run would be misleading
        with tempfile.TemporaryDirectory(prefix=f".{chapter}.", dir=folder) as scratch:
            out = Path(scratch) / f"{chapter}.ipynb"
            process = start(notebooks / out.name, out, waiting[chapter], threads, timeout)
            processes.append(process)
            row = outcome(chapter, process.wait(), time.perf_counter() - since, out, results)
            if out.exists() and not stop.is_set():
                os.replace(out, folder / out.name)
        return row

    with ThreadPoolExecutor(jobs) as pool:
        rows = [pool.submit(execute, chapter) for chapter in waiting]
        try:
            for _ in tqdm(as_completed(rows), total=len(rows), unit="chapter", disable=None):
                pass
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            _end(processes)
            raise
    return [row.result() for row in rows]


def _end(processes: list[subprocess.Popen]) -> None:
    """Interrupt processes, so that papermill ends their kernels; kill those that do not stop."""
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def machine() -> str:
    """Processor, system and versions, in words."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {platform.system()}, Python {platform.python_version()}, torch {version('torch')}"


def table(rows: list[dict]) -> str:
    """The summary as a Markdown table."""
    lines = ["| chapter | status | min:s | main result |", "|---|---|---|---|"]
    for row in rows:
        minutes, seconds = divmod(round(row["seconds"]), 60)
        cells = row["chapter"], row["status"], f"{minutes}:{seconds:02d}", row["result"].replace("|", "/")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Write a file that appears only when complete."""
    with complete_or_absent(path) as part:
        part.write_text(text, encoding="utf8")


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="*", help="chapters to run (default: all)")
    parser.add_argument("--profile", default="quick", help=f"one of {', '.join(profiles())} (default: quick)")
    parser.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--jobs", type=int, help="chapters at the same time (default: one for each core)")
    parser.add_argument("--keep-results", action="store_true", help="write the numbers to book/measured")
    parser.add_argument("--keep-times", action="store_true", help="write the seconds to book/measured/run_times.json")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds a single cell may take (default: 3600)")
    return parser


def keep(args: argparse.Namespace, rows: list[dict], folder: Path, jobs: int) -> None:
    """Write the summary, and the requested results to book/measured."""
    about = {"profile": args.profile, "jobs": jobs, "cores": cores(), "threads": max(1, cores() // jobs)}
    content = about | {"machine": machine(), "chapters": {row.pop("chapter"): row for row in map(dict, rows)}}
    write(folder / "summary.json", json.dumps(content, indent=1) + "\n")
    write(folder / "summary.md", table(rows))
    measured = ROOT / "book" / "measured"
    for row in rows if args.keep_results else []:
        if row["status"] == "passed":  # copied last, since a chapter may read the numbers measured before
            numbers = (folder / f"{row['chapter']}.json").read_text(encoding="utf8")
            write(measured / f"{row['chapter']}.json", numbers)
    if args.keep_times and all(row["status"] == "passed" for row in rows):
        seconds = {"seconds": {row["chapter"]: row["seconds"] for row in rows}}
        times = about | {"machine": content["machine"]} | seconds
        write(measured / "run_times.json", json.dumps(times, indent=1) + "\n")


def main() -> int:
    """Check the request, run it, print and write the summary."""
    parser = options()
    args = parser.parse_args()
    wanted = list(dict.fromkeys(args.chapter or chapters()))
    unknown = sorted(set(wanted) - set(chapters()))
    if unknown:
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(chapters())}")
    jobs = min(cores() if args.jobs is None else args.jobs, len(wanted))
    if jobs < 1:
        parser.error(f"--jobs must be at least 1, not {args.jobs}")
    folder = ROOT / "build" / args.profile
    changed = {name: yaml.safe_load(value) for name, value in args.parameter}
    try:
        todo = {c: parameters(args.profile, c, changed | {"results_file": str(folder / f"{c}.json")}) for c in wanted}
    except ValueError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` and batch systems end a job this way
    try:
        rows = run(todo, folder, jobs, args.timeout)
    except KeyboardInterrupt:
        print("Interrupted; what was not finished has been removed.", file=sys.stderr)
        return 130
    keep(args, rows, folder, jobs)
    print(f"\n{table(rows)}\nNotebooks and numbers: {folder.relative_to(ROOT)}")
    return int(any(row["status"] == "failed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
