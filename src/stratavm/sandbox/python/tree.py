"""The files of a run: a tree in memory that knows what is new, and whether there was no more room."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.wasi.abi import Filetype
from stratavm.wasi.errno import WasiError
from stratavm.wasi.memfs import MemoryTree, Node, one_at_a_time

if TYPE_CHECKING:
    from stratavm.sandbox.arguments import Folder

TEMPORARY: Final = "tmp"
"""What lies there is not kept."""
TEMPORARY_NAME: Final = TEMPORARY.encode()
NO_FILES: Final[dict[str, tuple[int, int, int]]] = {}
PATH_CHARS: Final = 4096
"""The longest path of a file that is kept. Guests can make longer ones, by renaming folders into each other."""
PATHS_CHARS: Final = 16 << 20
"""Of all of them together: a folder has its name once, and each file in it has it in its path."""


class RunTree(MemoryTree):
    """A tree in memory with a folder for what is temporary.

    Attributes: ``refused`` says that something did not fit.
    """

    def __init__(self, limit_bytes: int, now_ns: Callable[[], int], model: RunTree | None = None) -> None:
        super().__init__(limit_bytes=limit_bytes, now_ns=now_ns)
        self.refused = False
        self._known: dict[str, tuple[int, int, int]] = {}
        self._seen: dict[str, tuple[int, int, int]] | None = None
        if model is None:
            try:
                self.add(self.root, TEMPORARY_NAME, Filetype.DIRECTORY)
            except WasiError:
                raise _no_room(f"max_files is {limit_bytes} bytes, too few for a folder") from None
        else:
            self._copy(model)

    @one_at_a_time
    def _copy(self, model: RunTree) -> None:
        """Be what the model is; what is mounted there is not."""
        copies: dict[int, Node] = {}
        self.root = _copied(model.root, copies)
        waiting = [(model.root, self.root)]
        while waiting:
            node, copy = waiting.pop()
            for name, child in node.children.items():
                if child.mount is not None:
                    continue
                is_known = child.ino in copies
                twin = copy.children[name] = _copied(child, copies)
                if child.is_directory and not is_known:
                    twin.parent = copy
                    waiting.append((child, twin))
        self.used_bytes = model.used_bytes
        self._inodes = count(max(copies) + 1)
        if self.used_bytes > (self.limit_bytes or 0):
            raise _no_room(f"what it begins with takes {self.used_bytes} bytes, max_files is {self.limit_bytes}")

    def copied(self) -> RunTree:
        """A tree like this one, for nobody yet."""
        return RunTree(self.used_bytes, self.now_ns, self)

    def fill(self, files: Mapping[str, bytes], folders: Iterable[Folder] = ()) -> None:
        """Write files and mount folders of the host; what there is then is known.

        Raises:
            OSError: there is no room, a folder cannot be opened, or its place is taken.
        """
        for path, content in files.items():
            try:
                self.write(path, content)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise _no_room(f"max_files is {self.limit_bytes} bytes, too few for {path!r:.80}") from None
        for folder in folders:
            if not os.path.isdir(folder.host) and os.path.exists(folder.host):  # what is absent, ``mount`` says
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder.host)
            self.mount(folder.guest, folder.host, writable=folder.writable)
        self.refused = False
        if files or folders or self._seen is None:
            self.settle()
        else:  # since then no guest has run
            self._known = self._seen

    def charge(self, size: int) -> None:
        """Count bytes, or NOSPC."""
        try:
            super().charge(size)
        except WasiError:
            self.refused = True
            raise

    @one_at_a_time
    def plain(self) -> dict[str, bytes | None] | None:
        """Contents by path, None for an empty folder; None where there is more than folders and files."""
        found: dict[str, bytes | None] = {}
        waiting = [("", self.root)]
        while waiting:
            place, node = waiting.pop()
            if not node.children and place:
                found[place[:-1]] = None
            for name, child in node.children.items():
                path = f"{place}{text_of(name)}"
                if child.is_directory and child.mount is None:
                    waiting.append((f"{path}/", child))
                elif child.filetype == Filetype.REGULAR_FILE and child.nlink == 1 and child.mount is None:
                    found[path] = bytes(child.content)
                else:
                    return None
        return found

    @one_at_a_time
    def make_folder(self, path: str) -> None:
        """Make an empty folder, and those on the way."""
        node = self.root
        for name in path.encode().split(b"/"):
            node = node.children.get(name) or self.add(node, name, Filetype.DIRECTORY)

    @one_at_a_time
    def settle(self) -> None:
        """What there is now is known."""
        self._known = {path: _edition(node) for path, node in self._files()}

    def changed(self) -> dict[str, bytes]:
        """Files that are not known, or not as they were."""
        if self._known or not self._is_bare():
            return self._changed()
        self._seen = NO_FILES
        return {}

    @one_at_a_time
    def _changed(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        seen: dict[str, tuple[int, int, int]] = {}
        for path, node in self._files():
            edition = seen[path] = _edition(node)
            if path in found:  # of two names, one is no text and looks as the other
                self.refused = True
            elif self._known.get(path) != edition:
                found[path] = bytes(node.content)
        self._seen = seen
        return found

    def _is_bare(self) -> bool:
        """Whether nothing lies outside of the folder for what is temporary."""
        children = self.root.children
        node = children.get(TEMPORARY_NAME)
        return len(children) == 1 and node is not None and node.is_directory

    def _files(self) -> Iterator[tuple[str, Node]]:
        """Regular files outside of the folder for what is temporary, and of what is mounted; links are none. Where not
        all paths can be kept, something is refused."""
        waiting, left = [("", self.root)], PATHS_CHARS
        while waiting:
            place, node = waiting.pop()
            for name, child in node.children.items():
                path = f"{place}{text_of(name)}"
                if child.mount is not None or (child.is_directory and path == TEMPORARY):
                    continue
                if len(path) > PATH_CHARS:
                    self.refused = True
                elif child.is_directory:
                    waiting.append((f"{path}/", child))
                elif child.filetype == Filetype.REGULAR_FILE:
                    left -= len(path)
                    if left < 0:
                        self.refused = True
                        return
                    yield path, child


def text_of(name: bytes) -> str:
    """A name; bytes that are no text are shown: ``\\xff``."""
    return name.decode("utf-8", "backslashreplace")


def _no_room(why: str) -> OSError:
    return OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {why}")


def _copied(node: Node, copies: dict[int, Node]) -> Node:
    """The copy of a node, made once."""
    found = copies.get(node.ino)
    if found is None:
        found = copies[node.ino] = Node(node.ino, node.filetype, 0)
        found.atim, found.mtim, found.ctim, found.nlink = node.atim, node.mtim, node.ctim, node.nlink
        found.content[:] = node.content
    return found


def _edition(node: Node) -> tuple[int, int, int]:
    return node.ino, node.ctim, len(node.content)
