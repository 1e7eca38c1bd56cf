"""Write the repository named in _config.yml into every link that points at this book: badges, bootstrap cells, README.

    python scripts/tools/stamp.py            rewrite the links
    python scripts/tools/stamp.py --check    exit with 1 and name the files whose links are stale

A publishing workflow, or somebody who makes a fork or a release, says in two variables what they should point at:

    LULC_REPOSITORY    https://github.com/OWNER/NAME
    LULC_REF           branch or tag

They are then also written into _config.yml, so that the theme's button, which reads its address there, and the
links in the text lead to the same place.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PART = r"[\w.-]+"


def _name(url: str) -> str:
    """OWNER/NAME of an address on GitHub."""
    match = re.fullmatch(rf"https://github\.com/({PART}/{PART}?)(\.git)?/?", url)
    if not match:
        raise SystemExit(f"The repository address {url} is not of the form https://github.com/OWNER/NAME.")
    return match[1].removesuffix(".git")


def _configured() -> tuple[str, str]:
    """(OWNER/NAME, branch or tag) in _config.yml."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["repository"]
    return _name(config["url"]), str(config["branch"])


def repository() -> tuple[str, str]:
    """(OWNER/NAME, branch or tag) that links must point at: the environment's or, without it, _config.yml's."""
    name, ref = _configured()
    url = os.environ.get("LULC_REPOSITORY")
    ref = os.environ.get("LULC_REF") or ref
    if not re.fullmatch(PART, ref):
        raise SystemExit(f"The branch or tag '{ref}' cannot be used in a link to Colab; take a name without slashes.")
    return _name(url) if url else name, ref


def stamped(text: str, name: str, ref: str, before: str = "") -> str:
    """The text with all our own links pointing at repository `name`, branch or tag `ref`.

    before    OWNER/NAME that plain links to the repository name so far; other repositories' links are left alone
    """
    for pattern, link in (
        (rf"(colab\.research\.google\.com/github)/{PART}/{PART}/blob/{PART}/", rf"\1/{name}/blob/{ref}/"),
        (rf"(mybinder\.org/v2/gh)/{PART}/{PART}/{PART}", rf"\1/{name}/{ref}"),
        (rf"(git\+https://github\.com)/{PART}/{PART}?@{PART}", rf"\1/{name}@{ref}"),
        (rf"(git clone https://github\.com)/{PART}/{PART}", rf"\1/{name}"),
    ):
        text = re.sub(pattern, link, text)
    if before:
        own = rf"(?<=github\.com/){re.escape(before)}"
        text = re.sub(rf"{own}/(blob|tree|raw)/{PART}/", rf"{name}/\1/{ref}/", text)
        text = re.sub(rf"{own}(?![\w-])", name, text)
        text = text.replace(f"cd {before.split('/')[1]}\n", f"cd {name.split('/')[1]}\n")
    return text


def _stamped_config(text: str, name: str, ref: str) -> str:
    """_config.yml with the address and branch that the theme makes its buttons from."""
    text = re.sub(r"(?m)^(  url: )https://github\.com/\S+", rf"\1https://github.com/{name}", text)
    return re.sub(r"(?m)^(  branch: )\S+", rf"\g<1>{ref}", text)


def main() -> int:
    """Rewrite or check README, pages, notebooks and _config.yml."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a link is stale")
    check = parser.parse_args().check
    before, (name, ref) = _configured()[0], repository()
    pages = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("book/*.md"))]
    stale = []
    for path in [*pages, *sorted(ROOT.glob("notebooks/*.ipynb")), ROOT / "_config.yml"]:
        text = path.read_text(encoding="utf8")
        new = _stamped_config(text, name, ref) if path.suffix == ".yml" else stamped(text, name, ref, before)
        if new != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if not check:
                path.write_text(new, encoding="utf8")
    if stale:
        print(("Stale links, run `python scripts/tools/stamp.py`: " if check else "Rewritten: ") + ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
