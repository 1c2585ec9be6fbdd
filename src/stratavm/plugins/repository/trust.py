"""Pinned keys: which keys count here, and for which plugins. Nobody is trusted because a package says so."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from stratavm.base.forms import Final, NamedTuple
from stratavm.base.text import printable
from stratavm.base.words import counted, some
from stratavm.plugins.manifest import A_NAME, is_name
from stratavm.plugins.repository.errors import PackageRefused, TrustError
from stratavm.plugins.repository.signing import Signature, authenticated, is_right, raw_key
from stratavm.plugins.repository.spelling import having, parsed, spelt
from stratavm.services.diskcache import DIRECTORY, aside, write_all

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
        for key in keys:
            self._check(key)
            self._keys[key.key] = key

    def _check(self, key: TrustedKey) -> None:
        if not is_name(key.name):
            raise TrustError(self.file, "form", A_NAME, repr(key.name)[:100])
        if raw_key(key.key) is None:
            raise TrustError(self.file, "key", "'ed25519:' and 32 bytes in base64", repr(key.key)[:100])
        for pattern in key.plugins:
            if pattern != ALL and not is_name(pattern.removesuffix(BELOW) if isinstance(pattern, str) else pattern):
                raise TrustError(self.file, "form", A_PATTERN, repr(pattern)[:100])
        if key.key in self._keys or any(key.name == known.name for known in self):
            raise TrustError(self.file, "key", f"each key and each name once: {key.name}", "it twice")
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
        file = os.fspath(path)

        def refuse(reason: str, expected: str, found: str) -> TrustError:
            return TrustError(file, reason, expected, found)

        try:
            number = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return cls((), file)
        with open(number, "rb") as opened:
            now = os.fstat(number)
            if not stat.S_ISREG(now.st_mode) or now.st_uid not in (os.geteuid(), 0) or now.st_mode & 0o022:
                found = f"mode {stat.S_IMODE(now.st_mode):04o}, user {now.st_uid}"
                raise refuse("file", "a file that only this user may change", found)
            data = opened.read(MOST_BYTES + 1)
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
        folder, name = os.path.split(os.path.abspath(path))
        keys = [{"name": key.name, "key": key.key, "plugins": list(key.plugins)} for key in self]
        os.makedirs(folder, 0o700, exist_ok=True)
        at = os.open(folder, DIRECTORY)
        try:
            now = os.fstat(at)
            if now.st_uid != os.geteuid() or now.st_mode & 0o022:
                found = f"mode {stat.S_IMODE(now.st_mode):04o}, user {now.st_uid}"
                raise TrustError(folder, "file", "a folder that only this user may change", found)
            with aside(at) as (file, temporary):
                write_all(file, spelt({"trust": FORMAT, "keys": keys}), b"\n")
                os.fsync(file)
                os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
            os.fsync(at)
        finally:
            os.close(at)

    def adding(self, key: TrustedKey) -> Trust:
        """This, and one more.

        Raises:
            TrustError: it is there already, or is none.
        """
        return Trust([*self, key], self.file)

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

    def signer(self, payload: bytes, signatures: list[Signature], what: str) -> TrustedKey:
        """The trusted key that signed a payload.

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
        for key, item in known:
            if is_right(key.key, item.bytes, data):
                return key
        names = some(key.name for key, _ in known)
        raise PackageRefused(what, "signature", f"a right signature by {names}", "one that is wrong")
