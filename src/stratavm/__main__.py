"""``python -m stratavm`` is the ``strata`` command."""

import sys

from stratavm.cli import command

sys.exit(command())
