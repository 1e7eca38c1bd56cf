"""`python -m lulc_utils.contrastive`, the same as `python -m lulc_utils contrastive`."""

import sys

from lulc_utils.cli import main

if __name__ == "__main__":
    sys.exit(main(["contrastive", *sys.argv[1:]]))
