"""Imports inside functions, which a fork waits for."""

from __future__ import annotations

import os
from _thread import RLock
from typing import Final

importing: Final = RLock()
"""Held around every import inside a function that threads may reach while another one forks: a child that is made in
the middle of an import finds the module half made and its lock held, by a thread that it does not have."""

os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
