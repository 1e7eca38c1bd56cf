"""`python -m lulc_utils.places`, the same as `python -m lulc_utils place`."""

import sys

from lulc_utils.cli import main

if __name__ == "__main__":
    sys.exit(main(["place", *sys.argv[1:]]))
