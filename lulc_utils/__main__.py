"""`python -m lulc_utils`."""

import sys

from lulc_utils.cli import main

if __name__ == "__main__":
    sys.exit(main())
