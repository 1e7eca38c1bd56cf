"""`python -m lulc_utils.mapping`."""

import sys

from lulc_utils.mapping import main

sys.exit(main())
