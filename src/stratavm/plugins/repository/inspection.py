"""A look at every file of a repository, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from stratavm.base.forms import Any, Final
from stratavm.plugins.manifest import digest_of
from stratavm.plugins.repository.errors import RepositoryDamaged, RepositoryError
from stratavm.plugins.repository.layout import (
    BLOBS,
    INDEX_FILE,
    LOCK,
    MARK,
    MARKER,
    PLUGINS,
    ROOT,
    TURN,
    Layout,
)
from stratavm.plugins.repository.results import Problem
from stratavm.plugins.repository.shelf import Pair, check_version, open_pair, pairs, sealed_in
from stratavm.plugins.repository.trust import Trust
from stratavm.plugins.sources import MOST_MODULE
from stratavm.services.diskcache import ASIDE

FOLDERS: Final = ("blobs", PLUGINS)
NAME_DIGITS: Final = 64
HEX: Final = frozenset("0123456789abcdef")


class Inspection:
    """What is wrong with a layout of this user's, under the lock.

    Attributes:
        problems: in the order in which they were found.
        files: so many were looked at.
    """

    def __init__(self, layout: Layout, trust: Trust) -> None:
        self._layout, self._trust = layout, trust
        self._told: set[str] = set()
        self.problems: list[Problem] = []
        self.files = 0

    def tried(self, action: Callable[[], Any], whose: str = "") -> Any:
        """What an action gives; None where it found a problem, which is told with who needs the file."""
        try:
            return action()
        except (RepositoryError, OSError) as error:
            self.tell(error, whose)
        return None

    def tell(self, error: RepositoryError | OSError, whose: str = "") -> None:
        """Note a problem, once for each file."""
        found = (error.what, error.reason) if isinstance(error, RepositoryError) else (self._layout.path, "file")
        if found[0] not in self._told:
            self._told.add(found[0])
            self.problems.append(Problem(*found, f"{error} (needed by {whose})" if whose else str(error)))

    def at_packages(self) -> None:
        """Packages and signatures that the index names."""
        for pair in self.tried(partial(pairs, self._layout)) or ():
            self.tried(partial(self._pair, pair), pair.what)

    def at_files(self) -> None:
        """Files by their names and bytes, whether somebody names them or not."""
        layout = self._layout
        if MARKER not in layout.names(ROOT):
            self.tried(self._unmarked)
        for name in layout.names(ROOT):
            if name not in FOLDERS:
                self.tried(partial(self._root, name))
        for name in layout.names("blobs"):
            if name != BLOBS.rpartition("/")[2]:
                self.tried(partial(self._unknown, "blobs", name))
        for name in layout.names(BLOBS):
            self.tried(partial(self._blob, name))
        self.files += len(layout.names(PLUGINS))

    def _root(self, name: str) -> None:
        """A file beside the folders."""
        layout = self._layout
        self.files += 1
        if name == MARKER:
            if layout.read(ROOT, name, len(MARK)) != MARK:
                raise layout.damaged(ROOT, name, "form", MARK.decode(), "something else")
        elif name in (LOCK, TURN):
            layout.read(ROOT, name, 0)
        elif name != INDEX_FILE:
            self._unknown(ROOT, name)

    def _unmarked(self) -> None:
        """Who opens it to write writes it again."""
        raise self._layout.damaged(ROOT, MARKER, "absent", MARK.decode(), "no file")

    def _unknown(self, folder: str, name: str) -> None:
        """A file that nobody wrote there, unless its writer was killed."""
        if not name.startswith(ASIDE):
            todo = "`strata repo gc` removes it" if folder == BLOBS else "remove it, if nobody needs it"
            raise RepositoryDamaged(self._layout.place(folder, name), "file", "no such file", "one", todo)

    def _blob(self, name: str) -> None:
        layout = self._layout
        self.files += 1
        if len(name) != NAME_DIGITS or not HEX.issuperset(name):
            return self._unknown(BLOBS, name)
        found = digest_of(layout.read(BLOBS, name, MOST_MODULE) or b"")
        if found != f"sha256:{name}":
            raise layout.damaged(BLOBS, name, "digest", f"sha256:{name}", found)

    def _pair(self, pair: Pair) -> None:
        package = open_pair(self._layout, self._trust, pair)
        check_version(pair, package, self._layout)
        sealed_in(self._layout, package)
