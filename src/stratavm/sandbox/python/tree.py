"""The files of a run: a tree in memory that knows what is new, and whether there was no more room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.wasi.abi import Filetype
from stratavm.wasi.errno import WasiError
from stratavm.wasi.memfs import MemoryTree, Node, one_at_a_time

if TYPE_CHECKING:
    from stratavm.sandbox.arguments import Folder

TEMPORARY: Final = "tmp"
"""What lies there is not kept."""


class RunTree(MemoryTree):
    """A tree in memory with a folder for what is temporary.

    Attributes: ``refused`` says that something did not fit.
    """

    def __init__(self, files: Mapping[str, bytes], limit_bytes: int, now_ns: Callable[[], int]) -> None:
        self.refused = False
        super().__init__(files, limit_bytes=limit_bytes, now_ns=now_ns)
        self._known: dict[str, tuple[int, int, int]] = {}
        if TEMPORARY.encode() not in self.root.children:
            self.add(self.root, TEMPORARY.encode(), Filetype.DIRECTORY)
        self.refused = False
        self.settle()

    def charge(self, size: int) -> None:
        """Count bytes, or NOSPC."""
        try:
            super().charge(size)
        except WasiError:
            self.refused = True
            raise

    def show(self, folders: Iterable[Folder]) -> None:
        """Mount folders of the host.

        Raises:
            OSError: one cannot be opened, or its place is taken.
        """
        for folder in folders:
            self.mount(folder.guest, folder.host, writable=folder.writable)

    @one_at_a_time
    def settle(self) -> None:
        """What there is now is known."""
        self._known = {path: _edition(node) for path, node in _files(self.root)}

    @one_at_a_time
    def changed(self) -> dict[str, bytes]:
        """Files that are not known, or not as they were."""
        return {
            path: bytes(node.content) for path, node in _files(self.root) if self._known.get(path) != _edition(node)
        }


def _edition(node: Node) -> tuple[int, int, int]:
    return node.ino, node.ctim, len(node.content)


def _files(root: Node) -> Iterator[tuple[str, Node]]:
    """Regular files outside of the folder for what is temporary, and of what is mounted; links are none."""
    waiting = [("", root)]
    while waiting:
        place, node = waiting.pop()
        for name, child in node.children.items():
            path = f"{place}{name.decode('utf-8', 'replace')}"
            if child.mount is not None:
                continue
            if child.is_directory:
                if path != TEMPORARY:
                    waiting.append((f"{path}/", child))
            elif child.filetype == Filetype.REGULAR_FILE:
                yield path, child
