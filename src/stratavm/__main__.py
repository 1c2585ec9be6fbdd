"""``python -m stratavm`` is the ``strata`` command."""

import sys

from stratavm.cli.main import main

sys.exit(main())
