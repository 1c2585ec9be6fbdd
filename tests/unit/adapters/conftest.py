"""What tests of adapters share: sandboxed Python, where its interpreter is installed."""

import pytest

from stratavm.sandbox import Python
from tests import needed
from tests.programs.pythons import MODULE


@pytest.fixture(scope="session")
def python():
    """Runs and sessions."""
    needed.program(MODULE)
    return Python()
