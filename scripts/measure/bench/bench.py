"""Speed as ratios, each measured side by side in one run (`make bench`). Nothing here is a test.

Absolute rates depend on the machine and are printed for information only; the book makes claims about the ratios.

    python scripts/measure/bench/bench.py [--only PART ...] [--keep]

Without --only, all parts except the long ones run. --keep puts the rows in book/measured/performance.json, from which
the page *Performance* is made; parts that were not run keep their earlier rows there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import contrastive
import crf
import features
import mapping
import memory
import stego
import torch
from rows import Row, keep, seconds

from lulc_utils import simulate


def simulator(size: int = 512) -> Row:
    """Megapixels of simulated aerial landscape per second, as one process draws them."""
    taken = seconds({"aerial": lambda: simulate.aerial(7, size)})
    return Row(
        "simulated aerial scenes",
        size**2 / 1e6 / taken["aerial"],
        "megapixels/s",
        f"One process draws simulated landscapes of {size} x {size} pixels at this rate.",
        target=("at least", 0.5),
    )


PARTS: dict[str, Callable[[], list[Row]]] = {
    "features": features.run,
    "simulator": lambda: [simulator()],
    "crf": crf.run,
    "stego": stego.run,
    "contrastive": contrastive.run,
    "mapping": mapping.run,
    "workers": mapping.workers,
    "memory": memory.run,
}
LONG: dict[str, Callable[[], list[Row]]] = {"memory_embedded": memory.embedded}  # only on request


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, print their rows and, if asked, save them."""
    parser = argparse.ArgumentParser(
        "python scripts/measure/bench/bench.py", description="Measure speed as ratios, in one run."
    )
    parts = f"of {', '.join(PARTS)}; long: {', '.join(LONG)}"
    parser.add_argument("--only", nargs="+", metavar="PART", choices=[*PARTS, *LONG], help=parts)
    parser.add_argument("--keep", action="store_true", help="put the rows in book/measured/performance.json")
    asked = parser.parse_args(arguments)
    print(f"{torch.get_num_threads()} threads")
    for part in asked.only or PARTS:
        torch.manual_seed(0)
        rows = (PARTS | LONG)[part]()
        print(*rows, sep="\n", flush=True)
        if asked.keep:
            keep(part, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
