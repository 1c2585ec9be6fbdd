"""Claims about children that tests fork: what is wrong in one is seen."""

import os
import signal
import time

import pytest

from tests.forks import forked


def died():
    """By a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("act", [lambda: False, lambda: 1 // 0, died, lambda: time.sleep(60), lambda: os._exit(3)])
def test_a_child_that_is_wrong_is_seen(act):
    """It says so, raises, dies, is stuck, or ends otherwise."""
    assert not forked(act, longest_s=1)


def test_a_child_that_is_right_is_right():
    """It is another process."""
    before = os.getpid()
    assert forked(lambda: os.getpid() != before)
