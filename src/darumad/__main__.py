"""`python -m darumad` is `daruma`."""

import sys

from darumad.cli import main

sys.exit(main())
