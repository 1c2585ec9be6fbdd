"""``Python(isolate=True)``: runs in workers behind the wall, and what is believed of what those say.

Tools are called here, in the parent, by the rules for requests of guests; a result is held against what was asked for.
``within`` is the worker's end.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import marshal
import math
import time
from collections.abc import Callable
from functools import partial
from threading import Lock
from weakref import WeakKeyDictionary, finalize

from stratavm.base.errors import SnapshotRefused
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple
from stratavm.base.text import printable
from stratavm.sandbox.completed import CODES
from stratavm.sandbox.deaths import GRACE_SECONDS
from stratavm.sandbox.held import endable
from stratavm.sandbox.python.calls import REQUEST_BYTES, Calls
from stratavm.sandbox.python.frames import ANSWER_BYTES, ITEMS, Answer, Malformed, answer_of, parse
from stratavm.sandbox.python.results import Limit, PythonCompleted
from stratavm.sandbox.ways import DIRECTLY, Way
from stratavm.sandbox.workers import ATTEMPTS, Behind, Frames, NeverBegan, WorkerFailed, Workers

if TYPE_CHECKING:
    from stratavm.sandbox.arguments import Folder
    from stratavm.sandbox.python.asked import Asked, Limits
    from stratavm.sandbox.python.interpreter import Kept
    from stratavm.sandbox.python.outcome import Once
    from stratavm.sandbox.python.warm import Warm

LENGTH_BYTES: Final = 8
HEAD_BYTES: Final = 32 << 20
"""The longest head of a result: it has the names of files."""
FILE_ITEMS: Final = 4
"""Commas and brackets of a file in a head."""
MESSAGE_CHARS: Final = 1 << 16
PATH_CHARS: Final = 4096
MOST_CODE: Final = (1 << 32) - 1
MOST_MEMORY: Final = 1 << 32
"""Of a module whose addresses have 32 bits."""
ADDRESSES: Final = 1 << 42
"""Enough for the slots of an engine, each of which takes 8 GiB, and for what maps its memories besides."""
MOST_WORKERS: Final = 64
"""Of a pool: each session has one."""
MOST_POOLS: Final = 8
"""Of one beginning; those that nobody uses just now go then."""
QUESTIONS: Final = 1 << 20
"""Of one run; how many are answered, ``Calls`` says."""
CALL, TOO_LONG = b"C", b"L"
SIZED: Final = 1 << 30
LIMITS: Final[dict[Any, Limit]] = {"output": "output", "files": "files", "tools": "tools"}
PLAIN: Final = ("code", "args", "env", "files", "name", "file")


class Kind(NamedTuple):
    """What a pool of workers is for, besides what its interpreters begin with."""

    folders: tuple[Folder, ...]
    memory_bytes: int
    fuel: bool
    deterministic: bool


_lock: Final = Lock()
_pools: Final[WeakKeyDictionary[Warm, dict[Kind, Workers]]] = WeakKeyDictionary()
"""Workers of all tenants, by what they begin with."""


def _pool(warm: Warm, kept: Kept, kind: Kind) -> Workers:
    """The workers of a kind: one is kept ready, unless it is for folders that few others want.

    Raises:
        SnapshotRefused: code for all of them has left more in its file system than files.
    """
    with _lock:
        pools = _pools.setdefault(warm, {})
        found = pools.get(kind)
        if found is not None:
            return found
        for other, pool in list(pools.items()):
            if len(pools) >= MOST_POOLS and not pool.counts()["taken"]:
                pools.pop(other).close()
        guest, paths = warm.opened.guest, kept.tree.plain()
        if paths is None:
            raise SnapshotRefused("links", "the files of an interpreter for workers", "its code must remove them")
        data = {"module": guest.module, "fuel": kind.fuel, "kept": kept.packed(paths)}
        readable = [guest.module, guest.library, *(f.host for f in kind.folders if not f.writable)]
        behind = Behind(
            memory_bytes=kind.memory_bytes,
            readable=tuple(map(str, readable)),
            writable=tuple(f.host for f in kind.folders if f.writable),
            address_bytes=ADDRESSES,
        )
        frames = Frames(result_bytes=(1 << 32) - 1, ask_bytes=REQUEST_BYTES + 1, asks=QUESTIONS)
        entry = "stratavm.sandbox.python.within:prepare"
        made = Workers(entry, data, behind=behind, frames=frames, spare=0 if kind.folders else 1, most=MOST_WORKERS)
        finalize(warm, made.close)
        pools[kind] = made
        return made


class Apart:
    """Runs of one tenant in workers: those that have run its code run nobody else's.

    Args:
        warm: what runs begin with.

    Attributes: ``tenant`` is who they are for.
    """

    def __init__(self, warm: Warm) -> None:
        self.warm = warm
        self.tenant = object()
        self._used: set[Workers] = set()
        finalize(self, _forget, self._used, self.tenant)

    async def run(self, way: Way, once: Once) -> PythonCompleted:
        """A run.

        Raises:
            OSError: what it is given takes more than it may, or cannot be opened.
            RuntimeError: no worker starts.
        """
        data = marshal.dumps({**wanted(once), "op": "run", "chance": once.chance})
        pool = await self.workers(
            way, once.given.folders, once.allowed, (once.allowed.fuel is not None, once.chance[0])
        )
        left = ATTEMPTS
        while True:
            left -= 1
            worker = await way.apart(partial(pool.take, self.tenant))
            try:
                return (await answered(way, partial(worker.call, data), worker.drop, once))[0]
            except NeverBegan as error:
                if not left:
                    return failed(error, None, 0.0)
            finally:
                pool.give_back(self.tenant, worker)

    async def workers(self, way: Way, folders: tuple[Folder, ...], allowed: Limits, like: tuple[bool, bool]) -> Workers:
        """Those for such interpreters; ``like``: whether fuel is counted, whether deterministic. What they begin with
        is made here, and opened by each before its wall stands."""
        warm, (fuel, deterministic) = self.warm, like
        module = await warm.opened.module(way, fuel)
        kept = None
        while kept is None:  # the first interpreter that somebody asks for is not kept otherwise
            kept = await warm.kept(way, module, fuel=fuel, deterministic=deterministic)
        kind = Kind(folders, _sized(allowed), fuel, deterministic)
        pool = await way.apart(partial(_pool, warm, kept, kind))
        self._used.add(pool)
        return pool


Call = Callable[["Callable[[bytes], bytes] | None", "float | None", "int | None"], bytes]


async def answered(way: Way, call: Call, drop: Callable[[], object], once: Once) -> tuple[PythonCompleted, str | None]:
    """What a worker makes of a request, and why there can be no other one of its session.

    Args:
        way: whether on a loop.
        call: asks the worker, given what answers its questions, how long it may take, and how long a result may be.
        drop: ends the worker.
        once: what was asked for.

    Raises:
        NeverBegan: nothing, it is gone.
        OSError: what it was given takes more than it may, or cannot be opened.
    """
    allowed, begin = once.allowed, time.monotonic()
    calls = _calls(once, begin, waits=way is not DIRECTLY)
    seconds = None if allowed.timeout is None else allowed.timeout + GRACE_SECONDS
    most = LENGTH_BYTES + HEAD_BYTES + ANSWER_BYTES + 2 * allowed.max_output + allowed.max_files
    try:
        said = await way.apart(partial(call, _answering(way, calls), seconds, most))
        return _read(said, once, calls, time.monotonic() - begin)
    except NeverBegan:
        raise
    except Malformed as error:
        drop()
        gone = WorkerFailed("trap", f"the worker broke the rules: {error}")
    except WorkerFailed as error:
        gone = error
    return failed(gone, calls, time.monotonic() - begin), f"the process of the session is gone: {gone}"


def _forget(used: set[Workers], tenant: object) -> None:
    """A tenant is gone."""
    for pool in used:
        pool.forget(tenant)


def _sized(allowed: Limits) -> int:
    """What a process may need for such a run, in whole GiB, so that few kinds of workers do."""
    memory = MOST_MEMORY if allowed.max_memory is None else min(allowed.max_memory, MOST_MEMORY)
    total = memory + 4 * min(allowed.max_output, SIZED) + 4 * min(allowed.max_files, SIZED)
    return (total + SIZED - 1) // SIZED * SIZED


def wanted(once: Once) -> dict[str, Any]:
    """What a worker is asked for, as plain data."""
    offer = once.offer
    box = None if offer is None else offer.box
    listing = b"" if box is None else hashlib.sha256(box.listing).digest()
    return {"asked": _asked(once.given), "allowed": _limits(once.allowed), "tools": box is not None, "listing": listing}


def _limits(allowed: Limits) -> tuple[Any, ...]:
    """As plain data."""
    return tuple(getattr(allowed, name) for name in allowed.__slots__)


def _asked(given: Asked) -> dict[str, Any]:
    """As plain data; what is read from files is read here."""
    source = given.stdin
    stdin = source if isinstance(source, bytes) else source.read()
    if not isinstance(stdin, bytes):
        raise TypeError(f"stdin must give bytes, its read() gave {type(stdin).__name__}")
    folders = [(f.host, f.guest, f.writable) for f in given.folders]
    return {**{name: getattr(given, name) for name in PLAIN}, "stdin": stdin, "folders": folders}


# ---- tools ----------------------------------------------------------------------------------------------------------


def _calls(once: Once, begin: float, *, waits: bool) -> Calls | None:
    offer, timeout = once.offer, once.allowed.timeout
    if offer is None or offer.box is None:
        return None
    until = math.inf if timeout is None else begin + timeout
    return Calls(offer.box, offer.gate, once.allowed.max_calls, until, offer.helpers, waits=waits)


def _answering(way: Way, calls: Calls | None) -> Callable[[bytes], bytes] | None:
    """What answers the worker's questions, in the thread that has called it."""
    if calls is None:
        return None
    loop = None if way is DIRECTLY else asyncio.get_running_loop()

    def answer(question: bytes) -> bytes:
        kind, body = question[:1], question[1:]
        if kind == TOO_LONG and len(body) == LENGTH_BYTES:
            return calls.too_long(int.from_bytes(body, "little"))
        if kind != CALL:
            raise WorkerFailed("trap", "the worker broke the rules: a question that is none")
        said = calls.answer(body)
        if isinstance(said, bytes):
            return said
        assert loop is not None
        waiting = asyncio.run_coroutine_threadsafe(_awaited(said), loop)
        with endable(waiting.cancel):
            return waiting.result()

    return answer


async def _awaited(said: Any) -> bytes:
    return bytes(await said)


# ---- results --------------------------------------------------------------------------------------------------------


def failed(error: WorkerFailed, calls: Calls | None, seconds: float) -> PythonCompleted:
    """Of a worker that said nothing that can be believed."""
    record = () if calls is None else tuple(calls.record)
    return PythonCompleted("", "", error.code, error.reason, False, None, seconds, str(error), files={}, calls=record)


def _believed(said: bytes, once: Once, calls: Calls | None, seconds: float) -> PythonCompleted:
    """The result of a run."""
    return _read(said, once, calls, seconds)[0]


def _read(said: bytes, once: Once, calls: Calls | None, seconds: float) -> tuple[PythonCompleted, str | None]:
    """The result, as far as it can have come of such a run, and what ended its session.

    Raises:
        Malformed: it cannot.
        OSError: what was given could not be taken.
    """
    size = int.from_bytes(said[:LENGTH_BYTES], "little")
    if len(said) < LENGTH_BYTES or size > min(HEAD_BYTES, len(said) - LENGTH_BYTES):
        raise Malformed("a result without a head")
    head = parse(said[LENGTH_BYTES : LENGTH_BYTES + size], ITEMS + FILE_ITEMS * _most_files(once.allowed.max_files))
    if "refused" in head:
        raise _refused(head["refused"], once)
    rest = Rest(said, LENGTH_BYTES + size)
    allowed = once.allowed
    stdout, stderr = (
        rest.take(size, allowed.max_output).decode(errors="replace") for size in _pair(head.get("outputs"))
    )
    answered = rest.take(_whole(head.get("answer"), ANSWER_BYTES), ANSWER_BYTES)
    answer = answer_of(answered) if answered else None
    files = _files(head.get("files"), rest, allowed.max_files)
    rest.end()
    code, reason, message = _ending(head, allowed, answer)
    fuel = head.get("fuel_used")
    memory = MOST_MEMORY if allowed.max_memory is None else allowed.max_memory
    limits = [LIMITS[name] for name in _list(head.get("limits"), 3) if isinstance(name, str) and name in LIMITS]
    done = PythonCompleted(
        stdout,
        stderr,
        code,
        reason,
        _truth(head.get("truncated")),
        None if allowed.fuel is None else _whole(fuel, allowed.fuel),
        min(_seconds(head.get("seconds")), seconds),
        message,
        None if answer is None else answer.value,
        answer is not None and answer.is_repr,
        None if answer is None else answer.error,
        files,
        () if calls is None else tuple(calls.record),
        (*(name for name in limits if name != "tools"), *(("tools",) if calls is not None and calls.limited else ())),
        _whole(head.get("memory_bytes"), memory),
        _whole(head.get("faults"), 1 << 53),
    )
    return done, _ended(head.get("ended"))


def _ended(found: Any) -> str | None:
    if found is not None and type(found) is not str:
        raise Malformed("a session that ended without a word")
    return None if found is None else printable(found, MESSAGE_CHARS)


def _refused(found: Any, once: Once) -> OSError:
    """Of what was given, where something was."""
    words, number = _pair(found, str)
    if not once.given.files and not once.given.folders:
        raise Malformed("it refuses what it was not given")
    return OSError(number, printable(words, MESSAGE_CHARS))


class Rest:
    """What follows the head, piece by piece."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, size: int, most: int) -> bytes:
        """The next piece."""
        if size > min(most, len(self.data) - self.at):
            raise Malformed("a piece that is longer than it may be")
        self.at += size
        return self.data[self.at - size : self.at]

    def end(self) -> None:
        """There is no more."""
        if self.at != len(self.data):
            raise Malformed("more than the head says")


def _ending(head: dict[str, Any], allowed: Limits, answer: Answer | None) -> tuple[int, Any, str]:
    """Code, reason and message."""
    code, reason, message = _whole(head.get("code"), MOST_CODE), head.get("reason"), head.get("message")
    if not isinstance(reason, str) or reason not in CODES or not isinstance(message, str):
        raise Malformed("an end that is none")
    if (reason, allowed.timeout) == ("timeout", None) or (reason, allowed.fuel) == ("fuel", None):
        raise Malformed("a limit that there was not")
    if reason != "exit" and code != CODES[reason]:
        raise Malformed("a reason with another one's code")
    if reason == "exit" and answer is not None and answer.error is not None and code != 1:
        raise Malformed("an error with an exit code of its own")
    return code, reason, printable(message, MESSAGE_CHARS)


def _files(found: Any, rest: Rest, most: int) -> dict[str, bytes]:
    """Contents by path, all of them together no more than there may be."""
    files: dict[str, bytes] = {}
    for item in _list(found, _most_files(most)):
        path, size = _pair(item, str)
        parts = path.split("/")
        if len(path) > PATH_CHARS or "\0" in path or any(part in ("", ".", "..") for part in parts) or path in files:
            raise Malformed("a path that is none")
        if path.encode(errors="replace").decode() != path:
            raise Malformed("a path that is no text")
        files[path] = rest.take(size, most)
        most -= size
    return files


def _most_files(most: int) -> int:
    """How many there may be in so many bytes: an empty one takes some, too."""
    return most // 128 + 1


def _pair(found: Any, first: type = int) -> tuple[Any, int]:
    pair = _list(found, 2)
    if len(pair) != 2 or type(pair[0]) is not first:
        raise Malformed("no pair")
    return (pair[0] if first is str else _whole(pair[0], SIZED * 8)), _whole(pair[1], SIZED * 8)


def _list(found: Any, most: int) -> list[Any]:
    if type(found) is not list or len(found) > most:
        raise Malformed("no list of its length")
    return found


def _whole(found: Any, most: int) -> int:
    if type(found) is not int or not 0 <= found <= most:
        raise Malformed("no number in its range")
    return found


def _truth(found: Any) -> bool:
    if type(found) is not bool:
        raise Malformed("neither true nor false")
    return found


def _seconds(found: Any) -> float:
    if type(found) is not float or not 0 <= found < math.inf:
        raise Malformed("no time")
    return found


# ---- the worker's results, in its process ---------------------------------------------------------------------------


def refusal(error: OSError) -> bytes:
    """What a worker says of what it was given and cannot take."""
    said = json.dumps({"refused": [error.strerror or str(error), error.errno or 0]}).encode()
    return len(said).to_bytes(LENGTH_BYTES, "little") + said


def result(done: PythonCompleted, ended: str | None = None) -> bytes:
    """A result as a worker says it; ``ended`` is why there can be no other turn of its session."""
    outputs = [text.encode(errors="replace") for text in (done.stdout, done.stderr)]
    answer = _answer(done)
    files = {} if done.files is None else done.files
    head = {
        "outputs": [len(output) for output in outputs],
        "answer": len(answer),
        "files": [[path, len(content)] for path, content in files.items()],
        **{name: getattr(done, name) for name in ("code", "reason", "message", "truncated", "fuel_used", "seconds")},
        **{name: getattr(done, name) for name in ("limits", "memory_bytes", "faults")},
        "ended": ended,
    }
    said = json.dumps(head).encode()
    return b"".join([len(said).to_bytes(LENGTH_BYTES, "little"), said, *outputs, answer, *files.values()])


def _answer(done: PythonCompleted) -> bytes:
    """Value and error as the driver says them."""
    error = done.error
    said: dict[str, Any] = {"n": 0, "code": 0 if error is None else 1}
    if error is not None:
        frames = [[frame.file, frame.line, frame.function] for frame in error.frames]
        said["error"] = {"type": error.type, "message": error.message, "traceback": error.traceback, "frames": frames}
    said |= {"repr": done.value} if done.is_repr else {"value": _plain(done.value)}
    return json.dumps(said).encode()


def _plain(value: Any) -> Any:
    """The inverse of ``frames.plain``."""
    if isinstance(value, bytes):
        import binascii

        return {"$bytes": binascii.b2a_base64(value, newline=False).decode()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        items = [[key, _plain(item)] for key, item in value.items()]
        return {"$dict": items} if any(key[:1] == "$" for key in value) else dict(items)
    return value
