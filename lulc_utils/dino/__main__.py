"""`python -m lulc_utils.dino`."""

import sys

from lulc_utils.dino import main

sys.exit(main())
