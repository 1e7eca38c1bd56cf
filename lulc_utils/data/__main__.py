"""`python -m lulc_utils.data`."""

import sys

from lulc_utils.data import main

sys.exit(main())
