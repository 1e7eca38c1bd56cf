"""`python -m lulc_utils.data`, the same as `python -m lulc_utils data`."""

import sys

from lulc_utils.cli import main

if __name__ == "__main__":
    sys.exit(main(["data", *sys.argv[1:]]))
