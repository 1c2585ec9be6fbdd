"""A file system in memory: writable, bounded by a quota, and behaving as the host's does (a test compares the two).

``MemoryTree`` is what a program gives to a guest as a directory, and reads afterwards.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import wraps
from itertools import count

from stratavm.base.forms import Any, ClassVar, Final, TypeVar, cast
from stratavm.base.importing import importing
from stratavm.base.numbers import whole_or_none
from stratavm.base.text import utf8
from stratavm.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS, Fdflags, Filetype, Oflags, Whence
from stratavm.wasi.descriptor import FILE_PIECE, Descriptor, Directory, Entry, Mount, Opening, Stat, Times, Tree
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.held import ForkLock
from stratavm.wasi.quotas import Quotas
from stratavm.wasi.resolve import MAX_LINKS, split

NODE_BYTES: Final = 512
"""What a node counts for besides its names and content: about what it takes of the host's memory."""
ENTRY_BYTES: Final = 128
"""What a name counts for besides its letters."""
NAME_BYTES: Final = 255
"""The longest name."""


TREES: Final = ForkLock()
"""Held while a tree is read or changed: guests on several threads may have the same one."""

Method = TypeVar("Method", bound=Callable[..., Any])


def one_at_a_time(method: Method) -> Method:
    """The method, with the trees locked."""

    @wraps(method)
    def call(self: Any, *arguments: Any) -> Any:
        with TREES.lock:
            return method(self, *arguments)

    return cast(Method, call)


class Node:
    """A file, directory or link. ``nlink`` counts names; content stays while a descriptor has it open.

    Attributes: ``mount`` is the number of what its tree has mounted there. (The number, since nodes are cycles, and
    what is mounted shall go with the tree.)
    """

    __slots__ = ("atim", "children", "content", "ctim", "filetype", "ino", "mount", "mtim", "nlink", "opens", "parent")

    def __init__(self, ino: int, filetype: Filetype, now: int) -> None:
        self.ino, self.filetype = ino, filetype
        self.atim = self.mtim = self.ctim = now
        self.nlink = self.opens = 0
        self.content = bytearray()
        self.children: dict[bytes, Node] = {}
        self.parent: Node | None = None
        self.mount: int | None = None

    def stat(self) -> Stat:
        """Attributes."""
        return Stat(1, self.ino, self.filetype, self.nlink, len(self.content), self.atim, self.mtim, self.ctim)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.filetype == Filetype.DIRECTORY

    def set_times(self, times: Times, now: int) -> None:
        """Set timestamps; None keeps."""
        atim, mtim = times
        self.atim = self.atim if atim is None else atim
        self.mtim = self.mtim if mtim is None else mtim
        self.ctim = now


class Crossing(Exception):
    """Raised by a walk that has come to a mount: the rest of the path is the mounted directory's to look up."""

    def __init__(self, mount: Mount, rest: bytes) -> None:
        self.mount, self.rest = mount, rest
        super().__init__()


def handing_over(position: int) -> Callable[[Method], Method]:
    """The method, with the trees locked; where it comes to a mount it goes on there, with no lock held, as what has the
    same name. ``position`` is that of the path among its arguments."""

    def decorate(method: Method) -> Method:
        @wraps(method)
        def call(self: Any, *arguments: Any) -> Any:
            try:
                with TREES.lock:
                    return method(self, *arguments)
            except Crossing as crossing:
                onward = getattr(crossing.mount.seen(self.read_only), method.__name__)
                rest = crossing.rest
            return onward(*arguments[:position], rest, *arguments[position + 1 :])

        return cast(Method, call)

    return decorate


class MemoryTree(Tree):
    """A tree of files in memory, in which more can be mounted. Give it to ``Wasi(preopens={tree: "/work"})``.

    Args:
        files: content by path, for a start; directories are made as needed.
        limit_bytes: the most that names, nodes and content may take; None: what the quotas of the first world say.
        now_ns: the source of timestamps.

    Raises:
        TypeError: files are no mapping from paths to bytes.
        ValueError: a path is empty, or goes up.
        OSError: ENOSPC where the files take more than the limit.
    """

    def __init__(
        self,
        files: Mapping[str, bytes] | None = None,
        *,
        limit_bytes: int | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        given: Any = {} if files is None else files
        if not isinstance(given, Mapping):
            raise TypeError(f'files must be a mapping such as {{"in.txt": b"text"}}, got {files!r:.80}')
        limit_bytes = whole_or_none("limit_bytes", limit_bytes, unit="bytes")
        if not callable(now_ns):
            raise TypeError(f"now_ns must be callable, got {now_ns!r:.80}")
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.now_ns = now_ns
        self._inodes = count(2)
        self.mounted: list[Mount] = []
        self.root = Node(1, Filetype.DIRECTORY, now_ns())
        self.root.nlink = 2
        for path, content in given.items():
            self.write(path, content)

    # ---- for the host program -------------------------------------------------------------------

    @one_at_a_time
    def write(self, path: str, content: bytes) -> None:
        """Create or replace a file; directories on the way are made."""
        given: object = content
        if not isinstance(given, bytes | bytearray | memoryview):
            hint = ": write text.encode()" if isinstance(given, str) else ""
            raise TypeError(f"the content of {path!r:.80} must be bytes, got {content!r:.60}{hint}")
        *parents, name = _parts(path, "a file")
        try:
            node = self._folder(parents, path)
            file = self._here(node.children.get(name), path) or self.add(node, name, Filetype.REGULAR_FILE)
            if file.filetype != Filetype.REGULAR_FILE:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            self.resize(file, len(content))
        except WasiError as error:
            raise self._full(error, path) from None
        file.content[:] = content

    def mount(self, path: str, origin: str | os.PathLike[str] | MemoryTree, *, writable: bool = False) -> None:
        """Show a folder of the host, a file of the host, or another tree at a path, for good; directories on the way
        are made.

        Paths in what is mounted are resolved as below a folder of its own: nothing leads out of it, ``..`` included,
        and links and renames stay within it. The host's descriptor is opened once for all trees of the process.

        Args:
            path: a name that is free, or that of an empty directory.
            origin: the folder, file or tree.
            writable: whether guests may change what is mounted, where they may change the tree.

        Raises:
            TypeError, ValueError: an argument is not as said above.
            OSError: the origin cannot be opened, is neither a folder nor a regular file, or the path cannot be made.
        """
        given: object = writable
        if not isinstance(given, bool):
            raise TypeError(f"writable must be True or False, got {writable!r:.80}")
        *parents, name = _parts(path, "a mount")
        if isinstance(origin, MemoryTree):
            if self is origin or self in origin.within():
                raise ValueError(f"a tree cannot be mounted below itself, at {path!r:.80}")
            views = [MemoryDirectory(origin, origin.root, read_only) for read_only in (not writable, True)]
            mount, is_folder = Mount(*views), True
        else:
            mount, is_folder = _host_mount(origin, writable)
        with TREES.lock:
            self._mount(parents, name, path, mount, is_folder)

    def within(self) -> list[MemoryTree]:
        """The trees that are mounted in this one, and in those."""
        below = [mount.view.tree for mount in self.mounted if isinstance(mount.view, MemoryDirectory)]
        return below + [tree for near in below for tree in near.within()]

    def _mount(self, parents: list[bytes], name: bytes, path: str, mount: Mount, is_folder: bool) -> None:
        try:
            parent = self._folder(parents, path)
            there = self._here(parent.children.get(name), path)
            if there is None:
                there = self.add(parent, name, Filetype.DIRECTORY if is_folder else Filetype.REGULAR_FILE)
            elif not (is_folder and there.is_directory and not there.children):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        except WasiError as error:
            raise self._full(error, path) from None
        there.mount = len(self.mounted)
        self.mounted.append(mount)

    def _folder(self, parts: list[bytes], path: str) -> Node:
        """A directory, made where it is not there."""
        node = self.root
        for part in parts:
            node = self._here(node.children.get(part), path) or self.add(node, part, Filetype.DIRECTORY)
            if not node.is_directory:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return node

    @staticmethod
    def _here(node: Node | None, path: str) -> Node | None:
        """The node, unless something is mounted there."""
        if node is not None and node.mount is not None:
            raise OSError(errno.EXDEV, "what is mounted in a MemoryTree is not reached through it", path)
        return node

    def _full(self, error: WasiError, path: str) -> OSError:
        number = errno.ENAMETOOLONG if error.errno == Errno.NAMETOOLONG else errno.ENOSPC
        return OSError(number, f"{os.strerror(number)}: a MemoryTree of {self.limit_bytes} bytes", path)

    @one_at_a_time
    def read(self, path: str) -> bytes:
        """A file's content."""
        node = self._find(path)
        if node.is_directory:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return bytes(node.content)

    @one_at_a_time
    def list(self, path: str = "") -> list[str]:
        """Names in a directory, sorted."""
        node = self._find(path)
        if not node.is_directory:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return sorted(name.decode() for name in node.children)

    def _find(self, path: str) -> Node:
        node = self.root
        for part in () if isinstance(path, str) and not path.strip("/") else _parts(path):
            if part not in node.children:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = node.children[part]
            self._here(node, path)
        return node

    # ---- for descriptors ------------------------------------------------------------------------

    def open_root(self, quotas: Quotas) -> MemoryDirectory:
        """A descriptor of the root; a tree without its own limit gets the context's."""
        for tree in (self, *self.within()):
            if tree.limit_bytes is None:
                tree.limit_bytes = quotas.memory_bytes
        return MemoryDirectory(self, self.root)

    def remove(self, parent: Node, name: bytes) -> None:
        """Take a name away for good."""
        node = self.detach(parent, name)
        if node.is_directory:
            node.nlink = 0
        self.dispose(node)

    def charge(self, size: int) -> None:
        """Count bytes, or NOSPC."""
        if self.limit_bytes is not None and self.used_bytes + size > self.limit_bytes:
            raise WasiError(Errno.NOSPC)
        self.used_bytes += size

    def add(self, parent: Node, name: bytes, filetype: Filetype, content: bytes = b"") -> Node:
        """A new node under a name that is free."""
        self.charge(NODE_BYTES + len(content))
        node = Node(next(self._inodes), filetype, self.now_ns())
        node.content[:] = content
        try:
            self.may_attach(parent, name)
        except WasiError:
            self.used_bytes -= NODE_BYTES + len(content)
            raise
        self.attach(parent, name, node)
        if filetype == Filetype.DIRECTORY:
            node.nlink = 2
        return node

    def may_attach(self, parent: Node, name: bytes) -> None:
        """Refuse a name that is too long or too much, or one in a directory that was removed."""
        if parent.nlink == 0:
            raise WasiError(Errno.NOENT)
        if len(name) > NAME_BYTES:
            raise WasiError(Errno.NAMETOOLONG)
        self.charge(ENTRY_BYTES + len(name))
        self.used_bytes -= ENTRY_BYTES + len(name)

    def attach(self, parent: Node, name: bytes, node: Node) -> None:
        """Give a node a name, which ``may_attach`` allowed."""
        self.used_bytes += ENTRY_BYTES + len(name)
        parent.children[name] = node
        node.nlink += 1
        if node.is_directory:
            node.parent = parent
            parent.nlink += 1
        parent.mtim = parent.ctim = node.ctim = self.now_ns()

    def detach(self, parent: Node, name: bytes) -> Node:
        """Take a name away; the last one of a directory leaves it dead."""
        node = parent.children.pop(name)
        self.used_bytes -= ENTRY_BYTES + len(name)
        node.nlink -= 1
        if node.is_directory:
            parent.nlink -= 1
            node.parent = None
        parent.mtim = parent.ctim = node.ctim = self.now_ns()
        return node

    def dispose(self, node: Node) -> None:
        """Give back what a node counts for, once nothing names it and nothing has it open."""
        if node.nlink == 0 and node.opens == 0:
            self.used_bytes -= NODE_BYTES + len(node.content)
            node.content.clear()

    def close(self, node: Node) -> None:
        """One descriptor less."""
        node.opens -= 1
        self.dispose(node)

    def resize(self, node: Node, size: int) -> None:
        """Truncate or extend with zeros."""
        growth = size - len(node.content)
        if growth > 0:
            self.charge(growth)
            try:
                node.content.extend(bytes(growth))
            except MemoryError:
                self.used_bytes -= growth
                raise
        else:
            del node.content[size:]
            self.used_bytes += growth
        node.mtim = node.ctim = self.now_ns()


def _host_mount(origin: Any, writable: bool) -> tuple[Mount, bool]:
    """What is mounted of the host, and whether it is a folder."""
    if not isinstance(origin, str | os.PathLike) or not origin:
        raise TypeError(f"what is mounted must be a path or a MemoryTree, got {origin!r:.80}")
    with importing:
        from stratavm.wasi.mounts import mount_host  # here, for few use it

    return mount_host(os.fsdecode(origin), writable)


def _parts(path: str, what: str = "a path") -> list[bytes]:
    """The components of the host's name for something in a tree."""
    if not isinstance(path, str):
        raise TypeError(f"{what} in a MemoryTree is named by a string, got {path!r:.80}")
    parts = path.strip("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"{what} in a MemoryTree is named by components without '.', '..' and NUL, got {path!r:.80}")
    return [utf8(part, f"{what} in a MemoryTree") for part in parts]


class MemoryFile(Descriptor):
    """A regular file in memory."""

    filetype = Filetype.REGULAR_FILE
    piece_bytes = FILE_PIECE
    default_rights: ClassVar[int] = FILE_RIGHTS

    def __init__(self, tree: MemoryTree, node: Node, flags: int, read_only: bool) -> None:
        super().__init__()
        self.tree, self.node, self.flags, self.read_only = tree, node, flags, read_only
        self.position = 0
        node.opens += 1

    @one_at_a_time
    def close(self) -> None:
        """Close."""
        self.tree.close(self.node)

    @one_at_a_time
    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read at the position."""
        size = self.pread(buffers, self.position)
        self.position += size
        return size

    @one_at_a_time
    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Read at an offset."""
        at = offset
        with memoryview(self.node.content) as content:
            for buffer in buffers:
                piece = content[at : at + buffer.nbytes]
                buffer[: piece.nbytes] = piece
                at += piece.nbytes
                piece.release()
        return at - offset

    @one_at_a_time
    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write at the position, or at the end with APPEND."""
        if self.flags & Fdflags.APPEND and buffers:
            self.position = len(self.node.content)
        size = self._store(buffers, self.position)
        self.position += size
        return size

    @one_at_a_time
    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Write at an offset; at the end with APPEND, as Linux does."""
        return self._store(buffers, len(self.node.content) if self.flags & Fdflags.APPEND else offset)

    def _store(self, buffers: Sequence[memoryview], offset: int) -> int:
        end = offset + sum(b.nbytes for b in buffers)
        if end > offset:
            if end > len(self.node.content):
                self.tree.resize(self.node, end)
            at = offset
            for buffer in buffers:
                self.node.content[at : at + buffer.nbytes] = buffer
                at += buffer.nbytes
            self.node.mtim = self.node.ctim = self.tree.now_ns()
        return end - offset

    @one_at_a_time
    def seek(self, delta: int, whence: Whence) -> int:
        """Move the position."""
        origin = {Whence.SET: 0, Whence.CUR: self.position, Whence.END: len(self.node.content)}[whence]
        if not 0 <= origin + delta < 1 << 63:
            raise WasiError(Errno.INVAL)
        self.position = origin + delta
        return self.position

    def stat(self) -> Stat:
        """Attributes."""
        return self.node.stat()

    @one_at_a_time
    def set_size(self, size: int) -> None:
        """Truncate or extend."""
        self.tree.resize(self.node, size)

    @one_at_a_time
    def allocate(self, offset: int, length: int) -> None:
        """Extend to hold the range."""
        if offset + length > len(self.node.content):
            self.tree.resize(self.node, offset + length)

    @one_at_a_time
    def set_times(self, times: Times) -> None:
        """Set timestamps."""
        self.node.set_times(times, self.tree.now_ns())

    def available(self) -> int:
        """What is left behind the position."""
        return max(len(self.node.content) - self.position, 0)


class Place:
    """Where a path ends: the directories passed, the last name (or none for a directory itself), and its node."""

    __slots__ = ("name", "node", "slashed", "stack")

    def __init__(self, stack: list[Node], name: bytes | None, node: Node | None, slashed: bool) -> None:
        self.stack, self.name, self.node, self.slashed = stack, name, node, slashed

    @property
    def parent(self) -> Node:
        """The directory that holds the name."""
        return self.stack[-1]

    def found(self) -> Node:
        """The node, or NOENT; NOTDIR for a file with a trailing slash."""
        if self.node is None:
            raise WasiError(Errno.NOENT)
        if self.slashed and not self.node.is_directory:
            raise WasiError(Errno.NOTDIR)
        return self.node

    def movable(self) -> None:
        """BUSY where something is mounted there."""
        if self.node is not None and self.node.mount is not None:
            raise WasiError(Errno.BUSY)


def beneath(pending: Sequence[bytes], slashed: bool) -> bytes:
    """What is left of a path at a mount, of components in reverse; XDEV where it leads out of the mount again."""
    depth = 0
    for part in reversed(pending):
        depth += -1 if part == b".." else part != b"."
        if depth < 0:
            raise WasiError(Errno.XDEV)
    return (b"/".join(reversed(pending)) or b".") + (b"/" if slashed else b"")


class MemoryDirectory(Directory):
    """A directory in memory. Paths are walked with a stack, so ``..`` never leaves it; what is behind a mount is looked
    up by what is mounted there."""

    default_rights: ClassVar[int] = DIRECTORY_RIGHTS

    def __init__(self, tree: MemoryTree, node: Node, read_only: bool = False, realm: object = None) -> None:
        super().__init__()
        self.tree, self.node, self.read_only, self.realm = tree, node, read_only, realm
        node.opens += 1

    @one_at_a_time
    def close(self) -> None:
        """Close."""
        self.tree.close(self.node)

    def stat(self) -> Stat:
        """Attributes of the directory itself."""
        return self.node.stat()

    @one_at_a_time
    def set_times(self, times: Times) -> None:
        """Timestamps of the directory itself."""
        self.changing()
        self.node.set_times(times, self.tree.now_ns())

    def entries(self) -> Generator[Entry, None, None]:
        """All entries; ``..`` has the directory's own inode, as on the host."""
        yield Entry(b".", self.node.ino, Filetype.DIRECTORY)
        yield Entry(b"..", self.node.ino, Filetype.DIRECTORY)
        for name, node in list(self.node.children.items()):
            yield Entry(name, node.ino, node.filetype)

    @property
    def is_composed(self) -> bool:
        """Whether something is mounted in the tree."""
        return bool(self.tree.mounted)

    def landing(self, path: bytes, follow: bool = False, entering: bool = False) -> tuple[Directory, bytes]:
        """Where a path leads; what is wrong with it is left to whoever uses it."""
        if not self.tree.mounted:
            return self, path
        stripped = path.rstrip(b"/") or path
        try:
            with TREES.lock:
                self._walk(stripped, follow, entering=entering)
        except Crossing as crossing:
            rest = crossing.rest + path[len(stripped) :]
            return crossing.mount.seen(self.read_only).landing(rest, follow, entering)
        except WasiError:
            pass
        return self, path

    def _walk(self, path: bytes, follow: bool, creating: bool = False, entering: bool = True) -> Place:
        """Resolve a path; a link in the last place is followed where asked, or where a slash follows it.

        ISDIR where something is to be created and a link in the last place leads to a name with a slash behind it.

        Raises:
            Crossing: it leads into a mount; one that it names itself is entered where ``entering`` says so.
        """
        pending, stack, links = split(path), [self.node], 0
        slashed = pending[0] == b""
        if slashed:
            del pending[0]
        if not pending:
            return Place(stack, None, self.node, True)
        while True:
            name = pending.pop()
            node = self._step(stack, name)
            if node is not None and node.filetype == Filetype.SYMBOLIC_LINK and (pending or follow or slashed):
                links += 1
                if links > MAX_LINKS:
                    raise WasiError(Errno.LOOP)
                target = split(bytes(node.content))
                if not pending and target[0] == b"":
                    if creating:
                        raise WasiError(Errno.ISDIR)
                    slashed = True
                pending.extend(t for t in target if t)
                continue
            if node is not None and node.mount is not None and (pending or entering):
                if not node.is_directory and (pending or slashed):
                    raise WasiError(Errno.NOTDIR)
                raise Crossing(self.tree.mounted[node.mount], beneath(pending, slashed))
            if not pending:
                return Place(stack, None if name in (b".", b"..") else name, node, slashed)
            if node is None:
                raise WasiError(Errno.NOENT)
            if not node.is_directory:
                raise WasiError(Errno.NOTDIR)
            if name not in (b".", b".."):
                stack.append(node)

    @staticmethod
    def _step(stack: list[Node], name: bytes) -> Node | None:
        """The node of a component; ``..`` pops, and PERM at the directory itself."""
        if name == b".":
            return stack[-1]
        if name == b"..":
            if len(stack) == 1:
                raise WasiError(Errno.PERM)
            stack.pop()
            return stack[-1]
        if len(name) > NAME_BYTES:
            raise WasiError(Errno.NAMETOOLONG)
        return stack[-1].children.get(name)

    @handing_over(0)
    def open(self, path: bytes, how: Opening) -> Descriptor:
        """Open or create."""
        creating = bool(how.oflags & Oflags.CREAT)
        if self.read_only and (how.write or how.oflags & Oflags.TRUNC):
            self.changing()
        if creating and path.endswith(b"/"):
            raise WasiError(Errno.ISDIR)
        exclusive = creating and bool(how.oflags & Oflags.EXCL)
        place = self._walk(path, how.follow and not exclusive, creating)
        if place.node is None and creating and place.name is not None:
            self.changing()
            if place.slashed:
                raise WasiError(Errno.ISDIR)
            place.node = self.tree.add(place.parent, place.name, Filetype.REGULAR_FILE)
        elif exclusive:
            raise WasiError(Errno.EXIST)
        node = place.found()
        if node.filetype == Filetype.SYMBOLIC_LINK:
            raise WasiError(Errno.NOTDIR if how.oflags & Oflags.DIRECTORY else Errno.LOOP)
        if node.is_directory:
            if how.write or creating or how.oflags & Oflags.TRUNC:
                raise WasiError(Errno.ISDIR)
            return MemoryDirectory(self.tree, node, self.read_only, self.realm)
        if how.oflags & Oflags.DIRECTORY:
            raise WasiError(Errno.NOTDIR)
        if how.oflags & Oflags.TRUNC:
            self.tree.resize(node, 0)
        return MemoryFile(self.tree, node, how.flags, self.read_only)

    @handing_over(0)
    def path_stat(self, path: bytes, follow: bool) -> Stat:
        """Attributes of a path."""
        return self._walk(path, follow).found().stat()

    @handing_over(0)
    def path_set_times(self, path: bytes, follow: bool, times: Times) -> None:
        """Timestamps of a path."""
        self.changing()
        self._walk(path, follow).found().set_times(times, self.tree.now_ns())

    @handing_over(0)
    def readlink(self, path: bytes) -> bytes:
        """Target of a link."""
        if path.endswith(b"/"):
            raise WasiError(Errno.INVAL)
        node = self._walk(path, False).found()
        if node.filetype != Filetype.SYMBOLIC_LINK:
            raise WasiError(Errno.INVAL)
        return bytes(node.content)

    def _entry(self, path: bytes, dots: Errno) -> Place:
        """The place of a name itself. ``.`` and ``..`` in the end are refused with ``dots``."""
        stripped = path.rstrip(b"/") or path
        try:
            place = self._walk(stripped, False, entering=False)
        except Crossing as crossing:
            raise Crossing(crossing.mount, crossing.rest + path[len(stripped) :]) from None
        if place.name is None:
            raise WasiError(dots)
        place.slashed = path.endswith(b"/")
        return place

    def _new(self, path: bytes, slash: Errno | None = None) -> Place:
        """The place of a name to make."""
        place = self._entry(path, Errno.EXIST)
        if place.slashed and slash is not None:
            raise WasiError(slash)
        if place.node is not None:
            raise WasiError(Errno.EXIST)
        return place

    @handing_over(0)
    def mkdir(self, path: bytes) -> None:
        """Create a directory."""
        self.changing()
        place = self._new(path)
        assert place.name is not None
        self.tree.add(place.parent, place.name, Filetype.DIRECTORY)

    @handing_over(0)
    def rmdir(self, path: bytes) -> None:
        """Remove an empty directory."""
        self.changing()
        place = self._entry(path, Errno.INVAL)
        if place.node is None:
            raise WasiError(Errno.NOENT)
        if not place.node.is_directory:
            raise WasiError(Errno.NOTDIR)
        place.movable()
        if place.node.children:
            raise WasiError(Errno.NOTEMPTY)
        assert place.name is not None
        self.tree.remove(place.parent, place.name)

    @handing_over(0)
    def unlink(self, path: bytes) -> None:
        """Remove a file or link."""
        self.changing()
        place = self._entry(path, Errno.ISDIR)
        if place.node is not None and place.node.is_directory:
            raise WasiError(Errno.ISDIR)
        place.found()
        place.movable()
        assert place.name is not None
        self.tree.remove(place.parent, place.name)

    @handing_over(1)
    def symlink(self, target: bytes, path: bytes) -> None:
        """Create a link."""
        self.changing()
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM)
        place = self._new(path, slash=Errno.NOENT)
        assert place.name is not None
        self.tree.add(place.parent, place.name, Filetype.SYMBOLIC_LINK, target)

    def link(self, path: bytes, follow: bool, other: Directory, new_path: bytes) -> None:
        """Create a hard link."""
        self.changing()
        here, path = self.landing(path, follow, True)
        if here is not self:
            return here.link(path, follow, other, new_path)
        other, new_path = other.landing(new_path)
        other.changing()
        return self._within(self._link, path, follow, other, new_path)

    def _link(self, path: bytes, follow: bool, other: Directory, new_path: bytes) -> None:
        target = self._same_tree(other)
        node = self._walk(path, follow).found()
        place = target._new(new_path, slash=Errno.NOENT)
        if node.is_directory:
            raise WasiError(Errno.PERM)
        assert place.name is not None
        self.tree.may_attach(place.parent, place.name)
        self.tree.attach(place.parent, place.name, node)

    def rename(self, path: bytes, other: Directory, new_path: bytes) -> None:
        """Move; what has the new name is replaced."""
        self.changing()
        here, path = self.landing(path)
        if here is not self:
            return here.rename(path, other, new_path)
        other, new_path = other.landing(new_path)
        other.changing()
        return self._within(self._rename, path, other, new_path)

    def _rename(self, path: bytes, other: Directory, new_path: bytes) -> None:
        target = self._same_tree(other)
        old = self._entry(path, Errno.BUSY)
        new = target._entry(new_path, Errno.BUSY)
        node = old.found()
        if new.slashed and not node.is_directory:
            raise WasiError(Errno.NOTDIR)
        old.movable()
        new.movable()
        if new.node is node:
            return
        self._may_move(node, new)
        assert old.name is not None and new.name is not None
        self.tree.may_attach(new.parent, new.name)
        if new.node is not None:
            self.tree.remove(new.parent, new.name)
        self.tree.detach(old.parent, old.name)
        self.tree.attach(new.parent, new.name, node)

    @staticmethod
    def _within(act: Callable[..., None], *arguments: Any) -> None:
        """Act with the trees locked. The paths lead into no mount, unless another thread has made them do so."""
        try:
            with TREES.lock:
                act(*arguments)
        except Crossing:
            raise WasiError(Errno.XDEV) from None

    @staticmethod
    def _may_move(node: Node, new: Place) -> None:
        """Refuse to put a directory beneath itself, or to replace what must not be replaced."""
        above: Node | None = new.parent
        while node.is_directory and above is not None:
            if above is node:
                raise WasiError(Errno.INVAL)
            above = above.parent
        if new.node is None:
            return
        if node.is_directory and not new.node.is_directory:
            raise WasiError(Errno.NOTDIR)
        if new.node.is_directory and not node.is_directory:
            raise WasiError(Errno.ISDIR)
        if new.node.children:
            raise WasiError(Errno.NOTEMPTY)

    def _same_tree(self, other: Directory) -> MemoryDirectory:
        """Links and renames stay within one tree, and within a mount."""
        if not isinstance(other, MemoryDirectory) or other.tree is not self.tree or other.realm is not self.realm:
            raise WasiError(Errno.XDEV)
        return other
