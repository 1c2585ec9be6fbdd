"""What a run of Python is asked for, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from posixpath import normpath

from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple, cast, dataclass
from stratavm.base.numbers import integer, seconds_or_none, whole, whole_or_none
from stratavm.base.text import utf8
from stratavm.sandbox.arguments import MOST_BYTES, MOST_FUEL, Folder, contents, folders_of, input_of, texts
from stratavm.wasi import given

if TYPE_CHECKING:
    import io

    from stratavm.sandbox.arguments import Dirs, Input
    from stratavm.sandbox.python.calls import Gate
    from stratavm.sandbox.python.helpers import Helpers
    from stratavm.sandbox.python.tools import Toolbox

MOST_CALLS: Final = 1 << 31
MAX_MEMORY: Final = 1 << 30
MAX_OUTPUT: Final = 16 << 20
MAX_FILES: Final = 64 << 20
MAX_CALLS: Final = 1000
TIMEOUT_S: Final = 60.0
CODE_NAME: Final = "<run>"
"""What tracebacks call code that is in no file."""
LIBRARY: Final = "/usr/local/lib"
"""Where the interpreter's own files are: a guest sees nothing else there."""
ENVIRONMENT: Final = {"HOME": "/tmp", "TMPDIR": "/tmp", "MPLCONFIGDIR": "/tmp/matplotlib", "PYTHONTZPATH": ""}
"""What every guest's C library has copied when it began; a run's own variables come to it by its task."""
CODE_BYTES: Final = 64 << 20
"""The longest program."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run, or an interpreter, may use."""

    timeout: float | None
    fuel: int | None
    max_memory: int | None
    max_output: int
    max_files: int
    max_calls: int


class Asked(NamedTuple):
    """One piece of code, and what it is given."""

    code: str
    args: tuple[str, ...]
    env: dict[str, str]
    files: dict[str, bytes]
    stdin: bytes | io.IOBase
    folders: tuple[Folder, ...] = ()
    name: str = CODE_NAME
    file: str = ""
    """What ``__file__`` is, where the code is of a file."""

    def task(self, *, fresh: bool, ends: bool) -> dict[str, Any]:
        """What the driver is told; ``ends``: the program ends with it."""
        code, args, env, files, _, folders, name, file = self
        return {
            "code": code,
            "args": ["-c" if name == CODE_NAME else name, *args],
            "env": {**ENVIRONMENT, **env} if env else ENVIRONMENT,
            "name": name,
            "path": "/" if files or folders else "",
            "file": file,
            "fresh": fresh,
            "ends": ends,
            "wants": True,
        }


class Offer(NamedTuple):
    """The tools of a turn."""

    box: Toolbox | None
    gate: Gate | None
    helpers: Helpers
    calls: Any = None
    """Who answers instead, where the tools are another process's."""

    @property
    def listing(self) -> bytes:
        """What tells these tools from others; empty for none."""
        who = self.calls if self.box is None else self.box
        return b"" if who is None else who.listing


def gate_of(gate: Any) -> Gate | None:
    """A gate, or None.

    Raises:
        TypeError: it cannot be asked.
    """
    if gate is not None and not callable(gate):
        raise TypeError(f"gate must be callable, gate(tool, arguments), got {gate!r:.60}")
    return cast("Gate | None", gate)


def limits(
    timeout: float | None,
    fuel: int | None,
    sizes: tuple[int | None, int, int, int],
) -> Limits:
    """Limits, checked.

    Raises:
        TypeError, ValueError: one is no number, or out of range.
    """
    try:
        return _limits(timeout, fuel, *sizes)  # which many runs have
    except TypeError:  # of what cannot be a key as well
        return _limits.__wrapped__(timeout, fuel, *sizes)


@lru_cache(maxsize=64, typed=True)
def _limits(
    timeout: float | None, fuel: int | None, max_memory: int | None, max_output: int, max_files: int, max_calls: int
) -> Limits:
    return Limits(
        timeout=seconds_or_none("timeout", timeout),
        fuel=whole_or_none("fuel", fuel, most=MOST_FUEL, unit="units"),
        max_memory=whole_or_none("max_memory", max_memory, most=MOST_BYTES, unit="bytes"),
        max_output=whole("max_output", max_output, most=MOST_BYTES, unit="bytes"),
        max_files=whole("max_files", max_files, most=MOST_BYTES, unit="bytes"),
        max_calls=whole("max_calls", max_calls, most=MOST_CALLS),
    )


def asked(
    code: str,
    args: Any,
    env: Mapping[str, str] | None,
    files: Mapping[str, bytes | str] | None,
    stdin: Input,
    dirs: Dirs | None = None,
) -> Asked:
    """Code and what it is given, checked.

    Raises:
        TypeError, ValueError: something is not what it must be.
    """
    if not isinstance(code, str):
        raise TypeError(f"code must be a string, got {type(code).__name__}")
    if (len(code) if code.isascii() else len(utf8(code, "code"))) > CODE_BYTES:
        raise ValueError(f"code must have at most {CODE_BYTES} bytes")
    is_alone = env is None and files is None and stdin is None and dirs is None
    if is_alone and type(args) is tuple and not args:  # as most turns are
        return Asked(str.__str__(code), (), {}, {}, b"")
    if env is not None and not isinstance(env, Mapping):
        raise TypeError(f'env must be a mapping such as {{"LANG": "C"}}, got {env!r:.60}')
    given.environment(env)
    variables = {str.__str__(key): str.__str__(value) for key, value in (env or {}).items()}
    found = Asked(
        code=str.__str__(code),
        args=texts(args, '["in.csv", "3"]'),
        env=variables,
        files=contents(files or {}),
        stdin=input_of(stdin),
        folders=tuple(folders_of(dirs or ())),
    )
    _check_places(found.files, found.folders)
    return found


def _check_places(files: Iterable[str], folders: Iterable[Folder]) -> None:
    """Nobody's place is in that of another."""
    taken = {LIBRARY: "the interpreter's library is"}
    for folder in folders:
        path = folder.guest
        if not path.strip("/") or not path.startswith("/"):
            raise ValueError(f"dirs: a folder has a path of its own in the guest, such as '/data', not {path!r:.80}")
        if ".." in path.split("/"):
            raise ValueError(f"dirs: {path!r:.80} is not the path of a folder in the guest, such as '/data'")
        place = normpath(f"/{path.strip('/')}")
        for other in [*_ways(place), *(known for known in taken if known != LIBRARY and place in _ways(known))]:
            if other in taken:
                raise ValueError(f"dirs: {path!r:.80} does not go with {other!r:.80}, where {taken[other]}")
        taken[place] = f"{folder.host!r:.80} is"
    for file in files:
        for other in _ways(f"/{file}"):
            if other in taken:
                raise ValueError(f"files: {file!r:.80} would lie in {other!r:.80}, where {taken[other]}")


def _ways(path: str) -> list[str]:
    """A path, and those of the folders that it lies in."""
    return [path[:end] for end in range(2, len(path) + 1) if path[end : end + 1] in ("/", "")]


def seed_of(deterministic: bool, seed: int | None) -> int:
    """The seed of a deterministic run.

    Raises:
        TypeError: it is none.
        ValueError: the run is not deterministic.
    """
    if seed is None:
        return 0
    if not deterministic:
        raise ValueError("seed is for deterministic=True: other runs draw from the system's random bytes")
    return integer("seed", seed)
