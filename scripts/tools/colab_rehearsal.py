"""Rehearse opening a chapter on Colab, without Colab.

A fresh environment contains only what Colab has preinstalled (colab_versions.txt). One notebook alone is copied into an
empty folder and run to the end by papermill. Its first cell installs our package from
git+https://github.com/OWNER/NAME@REF as it will on Colab; only git is told (by GIT_CONFIG_* variables) that this
address is a copy of the working tree on this disk. Afterward exactly one more package may be installed: ours.

    python scripts/tools/colab_rehearsal.py                      chapter 0
    python scripts/tools/colab_rehearsal.py 02_stego_clustering  another chapter
    python scripts/tools/colab_rehearsal.py --all                all chapters, each after the package was removed again

Needs the network for the environment (about 6 GB, a few minutes) and for the tool that builds our wheel. Real data is
switched off. Versions not available for this Python are replaced by the next older one, and the report says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "tools"))
from stamp import repository  # noqa: E402

VERSIONS = Path(__file__).with_name("colab_versions.txt")
OURS = "lulc-utils"
DRIVER = "papermill"  # not on Colab; runs the notebook
LEFT_OUT = {".venv", "_build", "dist", ".git", "__pycache__", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints"}
SECONDS = 1200  # one chapter may take


def preinstalled() -> dict[str, str]:
    """Package -> version of a Colab runtime."""
    lines = VERSIONS.read_text(encoding="utf8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def installable(wanted: dict[str, str], available) -> tuple[dict[str, str], list[str]]:
    """The versions to install, and a sentence for each that had to be replaced by an older one.

    available    function: requirement ("rasterio<=1.5.1") -> newest version available for this Python, or None
    """
    chosen, replaced = {}, []
    for name, version in wanted.items():
        newest = available(f"{name}=={version}") or available(f"{name}<={version}")
        if newest is None:
            raise SystemExit(f"Neither {name} {version} nor an older version is available for this Python.")
        chosen[name] = newest
        if newest != version:
            replaced.append(f"{name} {newest} replaces {version}, which is not available for this Python.")
    return chosen, replaced


def _available(python: Path):
    """A lookup for `installable` that asks pip, without installing anything."""

    def ask(requirement: str) -> str | None:
        command = [python, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--report", "-"]
        done = subprocess.run([*command, "--ignore-installed", requirement], capture_output=True, text=True)
        return json.loads(done.stdout)["install"][0]["metadata"]["version"] if done.returncode == 0 else None

    return ask


def snapshot(folder: Path, ref: str) -> Path:
    """A git repository in `folder` with the working tree as its only commit, under the branch or tag `ref`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
    else:  # not a clone
        shutil.copytree(ROOT, folder, ignore=lambda _, names: LEFT_OUT & set(names), dirs_exist_ok=True)
    who = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet", "-b", ref], ["add", "--all"], [*who, "commit", "--quiet", "-m", "snapshot"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def surroundings(scratch: Path, repository_copy: Path, name: str) -> dict[str, str]:
    """Environment variables: our address points to the copy; no data, nothing from this checkout or user."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LULC_", "PYTHON", "JUPYTER", "VIRTUAL_ENV"))}
    folders = {f: str(scratch / "home" / f) for f in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    data = {f"LULC_{f}_DIR": str(scratch / "home" / f.lower()) for f in ("DATA", "CACHE")}
    git = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository_copy.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://github.com/{name}",
        "GIT_TERMINAL_PROMPT": "0",  # an address that is not ours must fail, not ask for a password
    }
    return env | folders | data | git | {"LULC_OFFLINE": "1", "PYTHONNOUSERSITE": "1"}


def installed(python: Path) -> dict[str, str]:
    """Package -> version in an environment."""
    command = [python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {entry["name"].lower().replace("_", "-"): entry["version"] for entry in listed}


def unwanted(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What the first cell changed besides adding our package; [] when all is as it should be."""
    wrong = [f"{n} {v} was added" for n, v in after.items() if n not in before and n != OURS]
    wrong += [f"{n} {v} became {after.get(n, 'nothing')}" for n, v in before.items() if after.get(n) != v]
    return wrong if OURS in after else [*wrong, f"{OURS} was not installed"]


def build_environment(folder: Path) -> Path:
    """A virtual environment like Colab's; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    chosen, replaced = installable(preinstalled(), _available(python))
    print("\n".join(replaced) or "Every version is Colab's own.", flush=True)
    wanted = [f"{name}=={version}" for name, version in chosen.items()]
    subprocess.run([python, "-m", "pip", "install", "-qq", "--no-compile", *wanted, DRIVER], check=True)
    return python


def rehearse(chapter: str, python: Path, copy: Path, scratch: Path, env: dict[str, str]) -> list[str]:
    """Run one notebook alone; returns the problems, [] when there are none."""
    search = "import importlib.util, sys; sys.exit(importlib.util.find_spec('lulc_utils') is not None)"
    folder = scratch / "content" / chapter
    folder.mkdir(parents=True)
    if subprocess.run([python, "-c", search], cwd=folder, env=env).returncode:
        return ["lulc_utils can be imported before the first cell has run, so nothing would be tested"]
    shutil.copy(copy / "notebooks" / f"{chapter}.ipynb", folder)
    before = installed(python)
    log = scratch / f"{chapter}.log"
    command = [python, "-m", "papermill", f"{chapter}.ipynb", "out.ipynb", "-k", "python3", "--no-progress-bar"]
    with log.open("w") as stream:
        try:
            code = subprocess.run(
                command, cwd=folder, env=env, stdout=stream, stderr=subprocess.STDOUT, timeout=SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return [f"it was not finished after {SECONDS} seconds"]
    wrong = unwanted(before, installed(python))
    if code:
        wrong += ["the notebook stopped with an error:", *log.read_text(encoding="utf8").splitlines()[-30:]]
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", OURS], check=True)
    return wrong


def main() -> int:
    """Build the environment, run the chapters, report; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapter", nargs="*", help="chapters to run (default: the first)")
    parser.add_argument("--all", action="store_true", help="run every chapter")
    parser.add_argument("--environment", type=Path, help="keep the environment in this folder, or use it again")
    args = parser.parse_args()
    known = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    chapters = known if args.all else args.chapter or known[:1]
    if unknown := sorted(set(chapters) - set(known)):
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(known)}")
    scratch, failed, start = Path(tempfile.mkdtemp(prefix="colab-")), 0, time.monotonic()
    try:
        name, ref = repository()
        ready = args.environment and args.environment / "bin" / "python"
        python = ready if ready and ready.exists() else build_environment(args.environment or scratch / "environment")
        print(f"environment   ready    {time.monotonic() - start:5.0f} s", flush=True)
        copy = snapshot(scratch / "repository", ref)
        env = surroundings(scratch, copy, name)
        for chapter in chapters:
            start = time.monotonic()
            wrong = rehearse(chapter, python, copy, scratch, env)
            failed += bool(wrong)
            print(f"{chapter}   {'FAILED' if wrong else 'ran'}   {time.monotonic() - start:5.0f} s", flush=True)
            print("".join(f"    {line}\n" for line in wrong), end="", flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{len(chapters) - failed} of {len(chapters)} chapters ran as on Colab; each added only {OURS}.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
