"""How much work takes long here: what a test needs that waits for ticks, on a machine of any speed."""

import time

LONG_S = 0.1
"""Of a call in which ticks come, whatever else the machine does."""


def long_enough(call, seconds=LONG_S):
    """A number of turns for which a call takes so long on this machine, undisturbed, and what it returns."""
    found = call(1)  # compiled
    for power in range(6, 31):
        took = []
        for _ in range(3):
            begin = time.monotonic()
            found = call(1 << power)
            took.append(time.monotonic() - begin)
        if min(took) >= seconds:
            return 1 << power, found
    raise AssertionError("no call takes long")
