"""`python -m lulc_utils.places`."""

import sys

from lulc_utils.places import main

sys.exit(main())
