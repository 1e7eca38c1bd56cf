"""Is this environment fit for the book? Prints versions, device and data source; explains what does not fit.

`python -m lulc_utils.doctor` exits with 1 when something is wrong.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import sys

PACKAGES = "numpy scipy scikit-learn matplotlib torch torchvision timm rasterio folium pooch tqdm safetensors"
MODULES = {"scikit-learn": "sklearn"}
BOOK = "jupyter-book papermill nbval"  # only builders of the book need these


def versions() -> dict[str, str | None]:
    """Version of each package the book needs; None when it is not installed."""
    found = {}
    for name in [*PACKAGES.split(), *BOOK.split()]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def problems() -> list[str]:
    """One plain sentence for everything that would stop a chapter; empty when all is well."""
    found, sentences = versions(), []
    for name in PACKAGES.split():
        if found[name] is None:
            sentences.append(f"{name} is not installed: run `pip install {name}`.")
            continue
        try:
            importlib.import_module(MODULES.get(name, name))
        except Exception as error:  # whatever an import can raise is what the reader must be told
            sentences.append(_explain(name, error, found))
    return sentences


def _explain(name: str, error: Exception, found: dict) -> str:
    """Why a package that is installed cannot be imported."""
    if "torchvision::" in str(error) or (name in ("torchvision", "timm") and "torch" in str(error)):
        return (
            f"{name} cannot be imported because torch {found['torch']} and torchvision {found['torchvision']} "
            "are not a matching pair (for example one for the CPU and one for CUDA): install both in one command, "
            "`pip install torch==2.12.1 torchvision==0.27.1`."
        )
    if re.search(r"numpy.*(size changed|binary)", str(error)):
        return f"{name} was built for another numpy: restart the kernel, then run the first cell again."
    return f"{name} is installed but cannot be imported: {str(error).splitlines()[0] if str(error) else error!r}"


def device() -> str:
    """Where torch would compute: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def data_source() -> str:
    """Where real data would come from, in words."""
    mirror = os.environ.get("LULC_DATA_MIRROR")
    if mirror:
        return "a mirror (LULC_DATA_MIRROR)"
    offline = os.environ.get("LULC_OFFLINE", "0").lower() not in ("", "0", "false", "no")
    return "the cache only (LULC_OFFLINE is set)" if offline else "the cache, else the web"


def report() -> None:
    """Print what a chapter runs on, and stop with one sentence per problem if it cannot run."""
    from . import __version__

    wrong = problems()
    if wrong:
        raise SystemExit("This environment cannot run the book yet.\n" + "\n".join(wrong))
    found = versions()
    print(f"lulc_utils {__version__}, Python {platform.python_version()}, torch {found['torch']}, ", end="")
    print(f"timm {found['timm']}; device: {device()} ({os.cpu_count()} cores); real data from {data_source()}")


def main() -> int:
    """Print every version and problem; 0 when the book can run."""
    for name, version in versions().items():
        note = " (only to build the book)" if name in BOOK.split() and version is None else ""
        print(f"{name:15} {version or 'missing'}{note}")
    wrong = problems()
    print("\n".join(wrong) if wrong else f"All is well. torch computes on: {device()}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
