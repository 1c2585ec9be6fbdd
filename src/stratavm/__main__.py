"""``python -m stratavm`` is the ``strata`` command."""

import sys

from stratavm.cli.main import command

sys.exit(command())
