"""`python -m lulc_utils.dino`, the same as `python -m lulc_utils dino`."""

import sys

from lulc_utils.cli import main

if __name__ == "__main__":
    sys.exit(main(["dino", *sys.argv[1:]]))
