"""Pinned keys: which keys count here, and for which plugins. Nobody is trusted because a package says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from stratavm.base.forms import Final, NamedTuple
from stratavm.base.importing import fcntl
from stratavm.base.text import printable
from stratavm.base.words import counted, some
from stratavm.plugins.manifest import A_NAME, is_name
from stratavm.plugins.repository.errors import PackageRefused, RepositoryBusy, TrustError
from stratavm.plugins.repository.files import PATIENCE_S, lock, mode_of, permitted, read_plain, replace_in
from stratavm.plugins.repository.given import check, path_of
from stratavm.plugins.repository.signing import Signature, authenticated, is_right, raw_key
from stratavm.plugins.repository.spelling import having, parsed, spelt
from stratavm.services.diskcache import DIRECTORY

FORMAT: Final = 1
MOST_BYTES: Final = 1 << 20
MOST_KEYS: Final = 1000
ALL: Final = "*"
BELOW: Final = ".*"
A_PATTERN: Final = "the name of a plugin, 'acme.*' for all whose names begin with 'acme.', or '*'"


class TrustedKey(NamedTuple):
    """A key that counts.

    Attributes:
        name: what people call it.
        key: ``ed25519:…``.
        plugins: what it may sign: names, ``acme.*``, or ``*``.
    """

    name: str
    key: str
    plugins: tuple[str, ...]

    def may_sign(self, plugin: str) -> bool:
        """Whether it counts for a plugin."""
        return any(
            pattern in (ALL, plugin) or (pattern.endswith(BELOW) and plugin.startswith(pattern.removesuffix(ALL)))
            for pattern in self.plugins
        )


class Trust:
    """The keys that count; does not change.

    Args:
        keys: them.

    Raises:
        TrustError: a name or a key is there twice, or is none.
    """

    def __init__(self, keys: Iterable[TrustedKey] = (), file: str = "trust") -> None:
        self.file = file
        self._keys: dict[str, TrustedKey] = {}
        check("keys", keys, Iterable, "TrustedKey objects")
        for key in keys:
            check("keys", key, TrustedKey, "TrustedKey objects")
            self._check(key)
            self._keys[key.key] = key

    def _check(self, key: TrustedKey) -> None:
        if not is_name(key.name):
            raise TrustError(self.file, "form", A_NAME, repr(key.name)[:100])
        if raw_key(key.key) is None:
            raise TrustError(self.file, "key", "'ed25519:' and 32 bytes in base64", repr(key.key)[:100])
        plugins: object = key.plugins
        if isinstance(plugins, str):  # its letters are no names
            raise TrustError(self.file, "form", "a tuple of names", repr(plugins)[:100], "write (NAME,)")
        for pattern in key.plugins:
            if pattern != ALL and not is_name(pattern.removesuffix(BELOW) if isinstance(pattern, str) else pattern):
                raise TrustError(self.file, "form", A_PATTERN, repr(pattern)[:100])
        if key.key in self._keys or any(key.name == known.name for known in self):
            known = next(known.name for known in self if known.key == key.key or known.name == key.name)
            todo = f"`strata repo distrust {known}`, if it is to be another"
            raise TrustError(self.file, "key", f"each key and each name once: {key.name}", "it twice", todo)
        if len(self._keys) >= MOST_KEYS:
            raise TrustError(self.file, "size", f"at most {MOST_KEYS} keys", "one more")

    def __iter__(self) -> Iterator[TrustedKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Trust in {counted(len(self), 'key')}: {printable(some(key.name for key in self))}>"

    # ---- files ----

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Trust:
        """From a file that nobody but this user and root may change; one that is not there trusts nobody.

        Raises:
            OSError, TrustError: it cannot be read, or is not as it must be.
        """
        file = path_of("path", path)

        def refuse(reason: str, expected: str, found: str) -> TrustError:
            todo = "put back a copy; or remove it, and `strata repo trust` the keys again"
            if reason == "file":
                mends = permitted("chmod go-w", file, found)
                todo = f"{mends}, if it is what you wrote" if mends else "name a file of your own"
            return TrustError(file, reason, expected, found, todo)

        own = "a file that only this user may change"
        try:
            data = read_plain(file, MOST_BYTES, refuse, own, owners=(os.geteuid(), 0), forbidden=0o022)
        except FileNotFoundError:
            return cls((), file)
        said = having(parsed(data.strip(), MOST_BYTES, refuse, exact=False), {"trust": int, "keys": list}, refuse)
        if said["trust"] != FORMAT:
            raise refuse("form", f"the format {FORMAT}", str(said["trust"])[:20])
        if len(said["keys"]) > MOST_KEYS:
            raise refuse("size", f"at most {MOST_KEYS} keys", str(len(said["keys"])))
        keys = [having(item, {"name": str, "key": str, "plugins": list}, refuse, "keys") for item in said["keys"]]
        return cls([TrustedKey(item["name"], item["key"], tuple(item["plugins"])) for item in keys], file)

    def save(self, path: str | os.PathLike[str]) -> None:
        """To a file in a folder that only this user may change, made where there is none; all at once.

        Raises:
            OSError, StrataError: it cannot be written.
        """
        folder, name = os.path.split(os.path.abspath(path_of("path", path)))
        keys = [{"name": key.name, "key": key.key, "plugins": list(key.plugins)} for key in self]
        os.makedirs(folder, 0o700, exist_ok=True)
        at = os.open(folder, DIRECTORY)
        try:
            now = os.fstat(at)
            if now.st_uid != os.geteuid() or now.st_mode & 0o022:
                found = mode_of(now)
                todo = permitted("chmod go-w", folder, found) or "name a file in a folder of your own"
                raise TrustError(folder, "file", "a folder that only this user may change", found, todo)
            replace_in(at, name, spelt({"trust": FORMAT, "keys": keys}), b"\n")
        finally:
            os.close(at)

    @classmethod
    def change(cls, path: str | os.PathLike[str], how: Callable[[Trust], Trust], *, wait_s: float = PATIENCE_S) -> None:
        """Change a file of trusted keys, while nobody else does.

        Args:
            path: of the file; made where there is none.
            how: what it is to be, of what it is.
            wait_s: how long to wait for another process or thread.

        Raises:
            RepositoryBusy: somebody else changed it for longer.
            OSError, StrataError: as ``read``, ``save`` and ``how``.
        """
        if not callable(how):
            raise TypeError(f"how must be a function of a Trust that gives one, got {how!r:.60}")
        folder = os.path.dirname(os.path.abspath(path_of("path", path)))
        os.makedirs(folder, 0o700, exist_ok=True)
        at = os.open(folder, DIRECTORY)
        try:
            if not lock(at, True, wait_s):
                found = f"others that had it for {wait_s:g} s"
                raise RepositoryBusy(os.fspath(path), "busy", "a turn to change it", found, "try it again")
            changed = how(cls.read(path))
            check("what how gives", changed, Trust, "a Trust")
            changed.save(path)
        finally:
            fcntl.flock(at, fcntl.LOCK_UN)  # closing would not, where a process was forked meanwhile
            os.close(at)

    def adding(self, key: TrustedKey) -> Trust:
        """This, and one more. One that is there with the same name may sign from now on what this one says.

        Raises:
            TrustError: its name is another key's, or the key has another name; or it is none.
        """
        check("key", key, TrustedKey, "a TrustedKey")
        kept = [known for known in self if (known.name, known.key) != (key.name, key.key)]
        return Trust([*kept, key], self.file)

    def without(self, name: str) -> Trust:
        """This without the key of a name.

        Raises:
            TrustError: there is none.
        """
        kept = [key for key in self if key.name != name]
        if len(kept) == len(self):
            raise TrustError(self.file, "absent", f"a key {name}", some(key.name for key in self))
        return Trust(kept, self.file)

    # ---- who signed ----

    def signers(self, payload: bytes, signatures: list[Signature], what: str) -> list[TrustedKey]:
        """The trusted keys that signed a payload.

        Raises:
            PackageRefused: none did.
            SigningUnavailable: the library is not installed.
        """
        known = [(self._keys[item.key], item) for item in signatures if item.key in self._keys]
        if not known:
            found = f"signed by {some((item.key for item in signatures), 3)}"
            todo = "`strata repo trust` pins a key, if you know whose it is"
            raise PackageRefused(
                what, "key", f"a signature by a trusted key ({some(k.name for k in self)})", found, todo
            )
        data = authenticated(payload)
        right = [key for key, item in known if is_right(key.key, item.bytes, data)]
        if right:
            return right
        names = some(key.name for key, _ in known)
        raise PackageRefused(what, "signature", f"a right signature by {names}", "one that is wrong")
