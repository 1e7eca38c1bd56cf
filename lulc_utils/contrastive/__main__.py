"""`python -m lulc_utils.contrastive`."""

import sys

from lulc_utils.contrastive import main

sys.exit(main())
