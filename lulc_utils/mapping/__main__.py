"""`python -m lulc_utils.mapping`, the same as `python -m lulc_utils map`."""

import sys

from lulc_utils.cli import main

if __name__ == "__main__":
    sys.exit(main(["map", *sys.argv[1:]]))
