"""Jobs for helper threads whose pieces are a few instructions: what a thread does with them is seen in their memory."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from stratavm.native import background
from stratavm.native.execmem import CodeOwner

IDLE, QUEUED, RUNNING, AGAIN, LEAVING, OFFERED = range(6)

COUNT: Final = bytes.fromhex("ff4720 31c0 ff4f28 0f9fc0 c3")
"""inc [rounds]; is there more: --left > 0."""
SPIN: Final = bytes.fromhex("ff4720 f390 837f1800 74f8 b801000000 c3")
"""inc [rounds]; until somebody waits; there is always more."""
HOLD: Final = bytes.fromhex("ff4720 f390 837f2800 74f8 31c0 c3")
"""inc [rounds]; until left != 0, whoever waits; no more."""
DEAF: Final = bytes.fromhex("ff4720 b900000100 f390 ffc9 75fa b801000000 c3")
"""inc [rounds]; 65,536 pauses (some ms), whoever waits; there is always more."""
TURN: Final = bytes.fromhex("488b4738 48ff00 488b00 48894730") + COUNT
"""answer = ++[shared], then as COUNT."""
FAULT: Final = bytes.fromhex("c704250000000000000000 c3")
"""Write to address 0."""
DEEP: Final = bytes.fromhex("4881ec00000e00 48c7042400000000 4881c400000e00 ff4720 31c0 c3")
"""Write 896 KiB below the thread's stack pointer; inc [rounds]."""
ASK: Final = bytes.fromhex("57 ff5728 5f 48894730 ff4720 31c0 c3")
"""answer = left(), a function of C; inc [rounds]."""


class Job(ctypes.Structure):
    """The header's, and what the pieces above use."""

    _fields_ = (
        ("next", ctypes.c_void_p),
        ("prev", ctypes.c_void_p),
        ("run", ctypes.c_void_p),
        ("stop", ctypes.c_uint32),
        ("state", ctypes.c_uint32),
        ("rounds", ctypes.c_uint64),
        ("left", ctypes.c_uint64),
        ("answer", ctypes.c_uint64),
        ("shared", ctypes.c_void_p),
    )


_pieces: dict[bytes, int] = {}
_owners: list[CodeOwner] = []


def published(code: bytes) -> int:
    """Where a piece lies: in pages of its own. A page that has room is opened for more code while no guest runs, but
    helper threads run these pieces then, which no code of the product does."""
    if code not in _pieces:
        _owners.append(CodeOwner("drill"))
        _pieces[code] = _owners[-1].publish(code)
    return _pieces[code]


class Drill:
    """A job. Its memory is given back when it is withdrawn, which happens at the end at the latest."""

    def __init__(self, piece: bytes, left: int = 0, shared: int = 0) -> None:
        self.job = Job(run=published(piece), left=left, answer=1, shared=shared)
        self.address = ctypes.addressof(self.job)

    def submit(self) -> bool:
        """Whether a thread does it."""
        return background.submit_at(self.address)

    def withdraw(self) -> bool:
        """Whether it was queued or running."""
        return background.withdraw_at(self.address)

    def offer(self) -> int:
        """The state then."""
        return background.offer_at(self.address)

    def recall(self) -> None:
        """Nobody was found."""
        background.recall_at(self.address)

    def lend(self, seconds: float = 60) -> bool:
        """Run pieces here; whether there is more."""
        return background.lend_at(self.address, int(seconds * 1e9))

    @property
    def rounds(self) -> int:
        """Pieces begun so far."""
        return self.job.rounds

    @property
    def answer(self) -> int:
        """What the piece left there."""
        return self.job.answer

    @property
    def state(self) -> int:
        """IDLE and so on."""
        return self.job.state

    def __del__(self) -> None:
        self.withdraw()


def soon(condition: Callable[[], object], seconds: float = 20) -> bool:
    """Whether it comes to hold on a machine that has other things to do."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def bare_fork() -> Callable[[], int]:
    """A function that forks without the GIL, as code in C does. The child ends at once, with status 7."""
    # push rbx; mov rbx, rsi; call rdi; if not eax: mov edi, 7; call rbx; pop rbx; ret
    code = published(bytes.fromhex("53 4889f3 ffd7 85c0 7507 bf07000000 ffd3 5b c3"))
    address = {name: ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p) for name in ("fork", "_exit")}
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(code)
    return lambda: function(address["fork"], address["_exit"])


def helper_tasks() -> list[Path]:
    """Folders of ``/proc`` of this process's helper threads."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if (task / "comm").read_text() == "strata-compile\n":
                found.append(task)
    return found


def tasks() -> int:
    """Threads of this process, as Python counts them at a fork."""
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[17])


background.limit_threads(1)
POSSIBLE: Final = background.helper_status()["limit"] == 1
"""Not in the trace build."""
background.limit_threads(None)
