"""``python -m latentry`` is the command ``latentry``."""

import sys

from latentry_main import main

sys.exit(main())
