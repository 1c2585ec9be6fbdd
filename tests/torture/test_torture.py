"""Claims under stress, at small scale; ``make torture`` runs the same for as long as wanted."""

import pytest

from tests.torture.__main__ import in_child
from tests.torture.scenarios import SCENARIOS


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_it_survives(name):
    """No crash, no wrong result, no hang, no growth."""
    done = in_child(name, seed=1, seconds=1.5)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 0
