"""`python -m lulc_utils data list | info NAME | fetch NAME ... | verify NAME`."""

from __future__ import annotations

import argparse
import textwrap

from lulc_utils.data.cache import cache_folder, leftovers, missing, verify
from lulc_utils.data.download import fetch
from lulc_utils.data.manifest import about, names, registry, used
from lulc_utils.data.pool import SOURCES, build
from lulc_utils.literal import counted


def add_options(parser: argparse.ArgumentParser) -> None:
    """Sub-commands; each puts the function that runs it in `options.call`."""
    parser.epilog = (
        "LULC_DATA_DIR moves the cache, LULC_DATA_MIRROR names a folder or address with copies, LULC_OFFLINE=1 forbids "
        "the network. Exit status: 0 success, 1 data missing or wrong, 2 wrong usage."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("list", help="all datasets with size, license and how much is cached")
    show.set_defaults(call=print_list)
    info = commands.add_parser("info", help="what a dataset is, its license and how to cite it")
    info.add_argument("name", metavar="NAME")
    info.set_defaults(call=print_info)
    get = commands.add_parser("fetch", help="download what is still missing")
    get.add_argument("names", metavar="NAME", nargs="+", help="datasets, 'book' for those of the chapters, or 'all'")
    get.add_argument("--workers", type=int, default=8, metavar="N", help="parallel downloads (default %(default)s)")
    get.add_argument("--quiet", action="store_true", help="no progress bar and no report")
    get.set_defaults(call=fetch_all)
    pool = commands.add_parser("pool", help="photographs to train a backbone on (reads 583 MB, keeps 70 MB)")
    pool.add_argument("--out", metavar="FOLDER", help="where to (default: pool in the cache)")
    pool.set_defaults(call=build_pool)
    check = commands.add_parser("verify", help="check every cached file against its SHA-256")
    check.add_argument("name", metavar="NAME")
    check.set_defaults(call=print_verify)


def run(options: argparse.Namespace) -> int | None:
    """Do what the options say; returns the exit status. ValueError for a wrong name, DataUnavailable."""
    return options.call(options)


def print_list(options: argparse.Namespace) -> None:
    """One line for each dataset."""
    print(f"{'name':<13}{'files':>6}{'MB':>7}{'cached':>10}  license")
    for name in names():
        entry, files = about(name), registry(name)
        cached = f"{len(files) - len(missing(name))}/{len(files)}"
        print(f"{name:<13}{len(files):>6}{entry['bytes'] / 1e6:>7.1f}{cached:>10}  {entry['license_short']}")


def print_info(options: argparse.Namespace) -> None:
    """A dataset in words."""
    name = options.name
    entry, count = about(name), len(registry(name))
    facts = {
        "license": entry["license"],
        "cite": entry["citation"],
        "see": entry["homepage"],
        "files from": f"{entry['repository']} at {entry['commit'][:12]}",
        "chapters": ", ".join(map(str, entry["used_in"])) or "none",
        "cached": f"{count - len(missing(name))} of {count} files in {cache_folder() / name}",
    }
    print(f"{name}: {entry['title']} ({counted(count, 'file')}, {entry['bytes'] / 1e6:.1f} MB)\n")
    print(textwrap.fill(entry["about"], 100), "\n")
    for key, text in facts.items():
        print(textwrap.fill(f"{key + ':':<12}{text}", 100, subsequent_indent=" " * 12, break_long_words=False))


def fetch_all(options: argparse.Namespace) -> None:
    """Fetch the named datasets and say where they are."""
    groups = {"all": names, "book": used}
    wanted = dict.fromkeys(name for given in options.names for name in groups.get(given, lambda g=given: [g])())
    for name in wanted:
        about(name)  # a misspelled name fails before anything is downloaded
    for name in wanted:
        folder = fetch(name, progress=not options.quiet, workers=options.workers)
        if not options.quiet:
            print(f"{name}: complete, {counted(len(registry(name)), 'file')} in {folder}")


def build_pool(options: argparse.Namespace) -> None:
    """Make the training pool, and say how to train on it."""
    folder = build(options.out)
    parts = "+".join(str(folder / source) for source in SOURCES)
    print(f"The pool is in {folder}; train on it with `python -m lulc_utils dino train --data {parts} ...`.")


def print_verify(options: argparse.Namespace) -> int:
    """List files that are missing, wrong or half-written; 1 when a file is missing or wrong."""
    states = verify(options.name)
    for file, state in states.items():
        if state != "ok":
            print(f"{state:<8} {file}")
    if parts := leftovers(options.name):
        print(f"{len(parts)} half-written, by a fetch that is running or was killed; the next fetch cleans up.")
    good = sum(state == "ok" for state in states.values())
    print(f"{options.name}: {good} of {len(states)} files are complete and correct.")
    return int(good < len(states))
