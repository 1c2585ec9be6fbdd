"""The manifest of a plugin: what it says of itself, read from TOML or JSON, checked, and frozen."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping

from stratavm.base.forms import Any, Final, NoReturn, dataclass
from stratavm.base.numbers import shown
from stratavm.base.words import did_you_mean, some
from stratavm.plugins.convention import ABI, NEEDED, OPTIONAL, Signature
from stratavm.plugins.errors import ManifestError
from stratavm.plugins.limits import NAMES, checked
from stratavm.plugins.ranges import A_RANGE, is_range, is_version

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*\Z")
FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
LONGEST_NAME: Final = 100
LONGEST_PATH: Final = 1000
MOST_ITEMS: Final = 1000
MOST_OTHERS: Final = 100
MOST_BYTES: Final = 1 << 16
MOST_DOTS: Final = 200
MODES: Final = ("ro", "rw")
RESERVED: Final = (*NEEDED, *OPTIONAL)
"""Functions whose types and meanings the convention says."""
A_NAME: Final = "a name such as 'text.shout' of at most 100 characters: a-z, 0-9, and . _ - between them"
A_SIGNATURE: Final = "'TAKES -> GIVES', each one of none, bytes, text, json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plugin says of itself. ``Manifest.parse`` makes one.

    Attributes:
        name, version: who it is.
        module: the file of its module, beside the manifest.
        functions: what it offers, by name: what each takes and gives.
        digest: ``sha256:…`` of the module's file, or empty.
        capabilities: names of the capabilities that it asks for.
        wasi: whether it asks for WASI, in a world that is empty but for ``folders`` and ``env``.
        folders: paths in the guest that it asks folders for, and modes: ``ro`` or ``rw``.
        env: names of variables that it asks for.
        limits: those of ``PluginLimits`` that it names, and what it asks for.
        requires: plugins that have to take calls where this one does, and which versions of them: ``>=1.2, <2``.
        conflicts: plugins, and which versions of them, beside which it cannot be.
    """

    name: str
    version: str
    module: str
    functions: tuple[tuple[str, Signature], ...] = ()
    digest: str = ""
    capabilities: tuple[str, ...] = ()
    wasi: bool = False
    folders: tuple[tuple[str, str], ...] = ()
    env: tuple[str, ...] = ()
    limits: tuple[tuple[str, Any], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, data: bytes, file: str = "plugin.toml") -> Manifest:
        """Of the bytes of a file: JSON where its name ends so, else TOML.

        Raises:
            ManifestError: it says what is expected, and what was found, where.
        """
        if len(data) > MOST_BYTES:
            raise ManifestError(file, "", f"at most {MOST_BYTES} bytes", f"{len(data)}")
        is_json = file.endswith(".json")
        try:
            text = data.decode()
            dots = 0 if is_json else max(line.count(".") for line in text.split("\n"))
            if dots > MOST_DOTS:  # the parser's time for a dotted key grows with the square of its parts
                raise ManifestError(file, "", f"at most {MOST_DOTS} dots in a line", f"{dots}")
            read = json.loads(text, object_pairs_hook=once) if is_json else tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ManifestError(file, "", "JSON" if is_json else "TOML", wrong_with(error)) from None
        return cls.of(read, file)

    @classmethod
    def of(cls, read: object, file: str = "manifest") -> Manifest:
        """Of what a file says.

        Raises:
            ManifestError: as ``parse``.
        """
        table = _Table(file, "", read)
        table.known(FIELDS)
        table.must("plugin", f"{ABI}, the version of this format", lambda found: type(found) is int and found == ABI)
        table.must("name", A_NAME, is_name)
        table.must("version", "a version such as '1.4.0' or '1.4.0-rc.1'", is_version)
        table.must("module", "the name of a file beside the manifest, such as 'shout.wasm'", _fits(FILE))
        functions = [(name, _signature(table, name, text)) for name, text in table.items("functions")]
        if "digest" in table.values:
            table.must("digest", "'sha256:' and 64 hexadecimal digits", _fits(DIGEST))
        if "wasi" in table.values:
            table.must("wasi", "true or false", lambda found: isinstance(found, bool))
        values = table.values
        return cls(
            name=values["name"],
            version=values["version"],
            module=values["module"],
            functions=tuple(functions),
            digest=values.get("digest", ""),
            capabilities=table.names("capabilities", A_NAME, is_name),
            wasi=values.get("wasi", False),
            folders=tuple(
                (_guest_path(table, path), _mode(table, path, mode)) for path, mode in table.items("folders")
            ),
            env=table.names("env", "the name of a variable", is_variable),
            limits=tuple((name, _limit(table, name, value)) for name, value in table.items("limits")),
            requires=tuple(_range(table, "requires", *item) for item in table.items("requires", MOST_OTHERS)),
            conflicts=tuple(_range(table, "conflicts", *item) for item in table.items("conflicts", MOST_OTHERS)),
        )

    def as_json(self) -> bytes:
        """The same for programs: keys in order, no spaces; of equal manifests equal bytes."""
        said: dict[str, Any] = {
            "plugin": ABI,
            "name": self.name,
            "version": self.version,
            "module": self.module,
            "functions": {name: str(signature) for name, signature in self.functions},
            "digest": self.digest,
            "capabilities": list(self.capabilities),
            "wasi": self.wasi,
            "folders": dict(self.folders),
            "env": list(self.env),
            "limits": dict(self.limits),
            "requires": dict(self.requires),
            "conflicts": dict(self.conflicts),
        }
        kept = {key: value for key, value in said.items() if value or key == "plugin"}
        return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


FIELDS: Final = ("plugin", *Manifest.__match_args__)


def is_name(found: object) -> bool:
    """Whether this can be the name of a plugin, a capability or a host function."""
    return isinstance(found, str) and len(found) <= LONGEST_NAME and NAME.match(found) is not None


def is_variable(found: object) -> bool:
    """Whether this can be the name of a variable, or of an export."""
    return _fits(VARIABLE)(found)


def is_guest_path(found: object) -> bool:
    """Whether this can be where a guest has a folder: absolute, and as short as can be."""
    if not isinstance(found, str) or not found.isprintable() or len(found) > LONGEST_PATH:
        return False
    first, *parts = found.split("/")
    return found == "/" or (first == "" and all(part not in ("", ".", "..") for part in parts))


def digest_of(data: bytes) -> str:
    """How manifests and grants name the bytes of a module's file."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _fits(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda found: isinstance(found, str) and len(found) <= LONGEST_NAME and pattern.match(found) is not None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON; ValueError where a key stands there twice."""
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {_shown(twice)}, which stands there twice")
    return table


def wrong_with(error: ValueError | RecursionError) -> str:
    """What is wrong with a text that cannot be read; of what Python says it takes what is not about Python."""
    if isinstance(error, RecursionError):
        return "lists or tables that are nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"what is no UTF-8 at byte {error.start}"
    return "a number of too many digits" if "integer string conversion" in str(error) else str(error)


class _Table:
    """A table of a manifest, and where it is."""

    def __init__(self, file: str, where: str, values: object) -> None:
        self.file, self.where = file, where
        if not isinstance(values, Mapping):
            self.refuse("", "a table", values)
        self.values: Mapping[str, Any] = values

    def refuse(self, key: str, expected: str, found: object) -> NoReturn:
        """ManifestError for what stands at ``key``."""
        where = ".".join(part for part in (self.where, key) if part)
        raise ManifestError(self.file, where, expected, _shown(found))

    def refuse_name(self, key: str, what: str, found: object, names: tuple[str, ...]) -> NoReturn:
        """ManifestError for a name that there is not, and what may have been meant."""
        near = did_you_mean(str(found), names)
        self.refuse(key, f"{what}: {', '.join(names)}", _Said(f"{_shown(found)}{near and '; ' + near}"))

    def known(self, names: tuple[str, ...]) -> None:
        """Refuse keys that there are not."""
        for key in self.values:
            if key not in names:
                self.refuse_name("", "a manifest's keys", key, names)

    def must(self, key: str, expected: str, holds: Callable[[object], bool]) -> None:
        """Refuse a value that is not there, or not as it must be."""
        if key not in self.values:
            self.refuse(key, expected, _Said("nothing"))
        if not holds(self.values[key]):
            self.refuse(key, expected, self.values[key])

    def items(self, key: str, most: int = MOST_ITEMS) -> list[tuple[str, Any]]:
        """What a table in this one has."""
        inner = _Table(self.file, key, self.values.get(key, {}))
        if len(inner.values) > most:
            self.refuse(key, f"at most {most} entries", _Said(str(len(inner.values))))
        return list(inner.values.items())

    def names(self, key: str, what: str, holds: Callable[[object], bool]) -> tuple[str, ...]:
        """Names in a list, each one once."""
        found = self.values.get(key, [])
        if not isinstance(found, list) or len(found) > MOST_ITEMS:
            self.refuse(key, f"a list of at most {MOST_ITEMS} names", found)
        for index, name in enumerate(found):
            if not holds(name):
                self.refuse(f"{key}[{index}]", what, name)
            if name in found[:index]:
                self.refuse(f"{key}[{index}]", "each name once", name)
        return tuple(found)


class _Said(str):
    """What was found, in words instead of a value."""


def _shown(found: object) -> str:
    """What was found; of tables and lists, which may be deep, that they are some."""
    if isinstance(found, _Said):
        return found
    if isinstance(found, str):
        return repr(found[:LONGEST_NAME])
    if isinstance(found, Mapping | list):
        return "a table" if isinstance(found, Mapping) else f"a list of {len(found)}"
    return shown(found) if type(found) is int else repr(found)


def _signature(table: _Table, name: str, text: object) -> Signature:
    """Of a function that the plugin offers."""
    if not is_variable(name) or name in RESERVED:
        table.refuse("functions", f"the name of an export, none of {some(RESERVED)}", name)
    found = Signature.parse(text)
    if found is None:
        table.refuse(f"functions.{name}", A_SIGNATURE, text)
    return found


def _range(table: _Table, key: str, name: object, wanted: object) -> tuple[str, str]:
    """Another plugin, and versions of it."""
    if not is_name(name) or name == table.values["name"]:
        table.refuse(key, "the name of another plugin", name)
    if not is_range(wanted):
        table.refuse(f"{key}.{name}", A_RANGE, wanted)
    return str(name), str(wanted)


def _guest_path(table: _Table, path: object) -> str:
    """Where in the guest a folder is asked for."""
    if not is_guest_path(path):
        table.refuse("folders", "an absolute path in the guest without . and .., such as '/data'", path)
    return str(path)


def _mode(table: _Table, path: str, mode: object) -> str:
    if mode not in MODES or not isinstance(mode, str):
        table.refuse(f"folders.{path}", "'ro' or 'rw'", mode)
    return mode


def _limit(table: _Table, name: str, value: object) -> Any:
    if name not in NAMES:
        table.refuse_name("limits", "names of limits", name, NAMES)
    try:
        if value is None:
            raise ValueError
        limit = checked(name, value)
        if name == "call_s" and limit == 0:
            raise ValueError
        return limit
    except (TypeError, ValueError):
        expected = "a number of seconds above 0" if name == "call_s" else "a whole number from 0 on that 63 bits hold"
        table.refuse(f"limits.{name}", expected, value)
