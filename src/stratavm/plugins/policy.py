"""Who may what: grants by the name of a plugin. What no grant names is refused; nothing is granted by default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from stratavm.base.forms import Any, Literal, TypeAlias, dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import truth
from stratavm.base.text import printable
from stratavm.base.words import some
from stratavm.plugins.limits import PluginLimits
from stratavm.plugins.manifest import DIGEST, Manifest, is_guest_path, is_name, is_variable

Folder: TypeAlias = "str | os.PathLike[str] | tuple[str | os.PathLike[str], str]"
Mode: TypeAlias = 'Literal["ro", "rw"]'


@dataclass(frozen=True, slots=True)
class Grant:
    """What a plugin gets, at most: of this only what its manifest asks for as well.

    Attributes:
        capabilities: names of capabilities.
        wasi: WASI, in a world that is empty but for the next two.
        folders: folders of the host by their paths in the guest: ``{"/data": "data"}`` read-only, ``{"/out": ("out",
            "rw")}`` writable.
        env: variables of its environment.
        limits: what it may use.
        holds: names of plugins for which what this one requires and conflicts with counts as well: they are neither
            unloaded under it nor updated beyond its range, nor loaded where it conflicts with them.
        python: it may be Python, which nothing confines: it has all rights of this process.
        digests: the modules that may be this plugin, as ``sha256:…``; empty: any that calls itself so.
    """

    _decorate = checks_keywords

    capabilities: Iterable[str] = ()
    wasi: bool = False
    folders: Mapping[str, Folder] | tuple[tuple[str, Folder], ...] = ()
    env: Mapping[str, str] | tuple[tuple[str, str], ...] = ()
    limits: PluginLimits = PluginLimits()
    digests: Iterable[str] = ()
    python: bool = False
    holds: Iterable[str] = ()

    def __post_init__(self) -> None:
        for name in ("capabilities", "digests", "holds"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise TypeError(f"Grant: {name} must be a list of strings, got {given!r:.60}")
            object.__setattr__(self, name, tuple(given))
        for name in ("folders", "env"):
            object.__setattr__(self, name, tuple(_table(name, getattr(self, name)).items()))
        for name in (*self.capabilities, *self.holds):
            if not is_name(name):
                raise ValueError(f"Grant: a name such as 'prices', got {name!r:.60}")
        for digest in self.digests:
            if not isinstance(digest, str) or not DIGEST.match(digest):
                raise ValueError(f"Grant: digests must be 'sha256:' and 64 hexadecimal digits, got {digest!r:.80}")
        for name in ("wasi", "python"):
            truth(f"Grant: {name}", getattr(self, name))
        if not isinstance(self.limits, PluginLimits):
            raise TypeError(f"Grant: limits must be PluginLimits, got {self.limits!r:.60}")
        for path, folder in dict(self.folders).items():
            if not is_guest_path(path):
                raise ValueError(f"Grant: folders must be by absolute paths in the guest, got {path!r:.60}")
            _place(folder)
        for name, value in dict(self.env).items():
            if not is_variable(name) or not isinstance(value, str) or "\0" in value:
                raise ValueError(f"Grant: env must be names and texts without NUL, got {name!r:.60}: {value!r:.60}")

    def refusals(self, asked: Manifest) -> Iterator[str]:
        """What a manifest asks for and this does not give, in words."""
        missing = [name for name in asked.capabilities if name not in tuple(self.capabilities)]
        if missing:
            yield f"it asks for {some(missing)}, which it is not granted"
        if asked.wasi and not self.wasi:
            yield "it asks for WASI, which it is not granted"
        if (asked.folders or asked.env) and not asked.wasi:
            yield "it asks for folders or variables without WASI, which gives them: wasi = true"
        folders = dict(self.folders)
        for path, mode in asked.folders:
            if path not in folders:
                yield f"it asks for the folder {path}, which it is not granted"
            elif mode == "rw" and _place(folders[path])[1] == "ro":
                yield f"it asks for the folder {path} to write, it is granted to read"
        missing = [name for name in asked.env if name not in dict(self.env)]
        if missing:
            yield f"it asks for the variables {some(missing)}, which it is not granted"
        yield from self.limits.exceeded(asked.limits)

    def other_module(self, digest: str) -> str:
        """Why a module with this digest may not be the plugin; empty: it may."""
        named = tuple(self.digests)
        return f"the module is {digest}, which the grant does not name" if named and digest not in named else ""

    def preopens(self, asked: Manifest) -> list[tuple[str, str, Mode]]:
        """The folders of a world, as ``Wasi`` wants them: none that was not asked for, and no mode that was not."""
        folders = dict(self.folders)
        return [(_place(folders[path])[0], path, "rw" if mode == "rw" else "ro") for path, mode in asked.folders]

    def variables(self, asked: Manifest) -> dict[str, str]:
        """The environment of a world."""
        return {name: value for name, value in dict(self.env).items() if name in asked.env}


def _table(name: str, given: object) -> dict[Any, Any]:
    """A mapping, or its items."""
    try:
        if not isinstance(given, str):
            return dict(given)  # type: ignore[call-overload,no-any-return]
    except (TypeError, ValueError):
        pass
    raise TypeError(f"Grant: {name} must be a mapping, got {given!r:.60}")


def _place(folder: Folder) -> tuple[str, str]:
    """Path and mode of a folder."""
    path, mode = folder if isinstance(folder, tuple) else (folder, "ro")
    if mode not in ("ro", "rw"):
        raise ValueError(f"Grant: the mode of a folder must be 'ro' or 'rw', got {mode!r:.60}")
    return os.fspath(path), mode


class Policy:
    """Grants by the names of plugins, for ``Plugins``.

    Args:
        grants: by name. What is not named here is refused.
        otherwise: what every other plugin gets; None refuses them.
    """

    def __init__(self, grants: Mapping[str, Grant], otherwise: Grant | None = None) -> None:
        if not isinstance(grants, Mapping):
            raise TypeError(f"Policy: grants must be a mapping of names to Grants, got {grants!r:.60}")
        for name, grant in grants.items():
            if not is_name(name):
                raise ValueError(f"Policy: {name!r:.60} is the name of no plugin")
            if not isinstance(grant, Grant):
                raise TypeError(f"Policy: {name} must have a Grant, got {grant!r:.60}")
        if otherwise is not None and not isinstance(otherwise, Grant):
            raise TypeError(f"Policy: otherwise must be a Grant or None, got {otherwise!r:.60}")
        self._grants = dict(grants)
        self.otherwise = otherwise

    def grant(self, name: str) -> Grant | None:
        """What a plugin gets."""
        return self._grants.get(name, self.otherwise)

    @property
    def counts_fuel(self) -> bool:
        """Whether a plugin's fuel is limited."""
        return any(grant.limits.fuel is not None for grant in self._grants.values() if grant) or (
            self.otherwise is not None and self.otherwise.limits.fuel is not None
        )

    def __repr__(self) -> str:
        return f"<Policy for {printable(some(self._grants))}{'' if self.otherwise is None else ' and all others'}>"
