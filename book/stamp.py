"""Write the repository named in _config.yml into every link that points at this book: badges, bootstrap cells, README.

    python book/stamp.py            rewrite the links
    python book/stamp.py --check    exit with 1 and name the files whose links are stale

A publishing workflow may set LULC_REPOSITORY (https://github.com/OWNER/NAME) and LULC_REF (branch or tag) instead.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PART = r"[\w.-]+"


def repository() -> tuple[str, str]:
    """(OWNER/NAME, branch or tag) of this book."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["repository"]
    url = os.environ.get("LULC_REPOSITORY", config["url"])
    found = re.fullmatch(rf"https://github\.com/({PART}/{PART}?)(\.git)?/?", url)
    if not found:
        raise SystemExit(f"The repository address {url} is not of the form https://github.com/OWNER/NAME.")
    return found[1].removesuffix(".git"), os.environ.get("LULC_REF", str(config["branch"]))


def stamped(text: str, name: str, ref: str) -> str:
    """The text with all our own links pointing at repository `name`, branch or tag `ref`."""
    for pattern, link in (
        (rf"(colab\.research\.google\.com/github)/{PART}/{PART}/blob/{PART}/", rf"\1/{name}/blob/{ref}/"),
        (rf"(git\+https://github\.com)/{PART}/{PART}?@{PART}", rf"\1/{name}@{ref}"),
        (rf"(git clone https://github\.com)/{PART}/{PART}", rf"\1/{name}"),
    ):
        text = re.sub(pattern, link, text)
    return text


def main() -> int:
    """Rewrite or check README, pages and notebooks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a link is stale")
    check = parser.parse_args().check
    name, ref = repository()
    stale = []
    for path in [ROOT / "README.md", *sorted(ROOT.glob("book/*.md")), *sorted(ROOT.glob("notebooks/*.ipynb"))]:
        text = path.read_text(encoding="utf8")
        if stamped(text, name, ref) != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if not check:
                path.write_text(stamped(text, name, ref), encoding="utf8")
    if stale:
        print(("Stale links, run `python book/stamp.py`: " if check else "Rewritten: ") + ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
