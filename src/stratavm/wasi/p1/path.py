"""Paths: every one relative to an open directory, and kept beneath it."""

from __future__ import annotations

from stratavm.base.forms import Final, cast
from stratavm.wasi.abi import FILESTAT_UNSTABLE, SYMLINK_FOLLOW, Oflags, Rights
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Descriptor, Opening, Stat
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1.fd import times_of, unstable_stat, write_stat
from stratavm.wasi.registry import PREVIEW1, UNSTABLE

WRITING: Final = Rights.FD_WRITE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_SET_SIZE | Rights.FD_DATASYNC


def path_of(ctx: Context, guest: Guest, pointer: int, length: int) -> bytes:
    """A path argument."""
    return guest.path(pointer, length, ctx.quotas.path_bytes)


def tell_number(ctx: Context, guest: Guest, out: int, number: int) -> None:
    """Write the number of a new descriptor, which is closed where nobody waits for it any more."""
    if guest.dropped:
        ctx.remove(number)
    guest.write_u32(out, number)


def follows(flags: int) -> bool:
    """Whether ``lookupflags`` ask to follow a link in the last place."""
    if flags & ~SYMLINK_FOLLOW:
        raise WasiError(Errno.INVAL)
    return flags == SYMLINK_FOLLOW


@PREVIEW1.function("path_create_directory", "iii->i", apart=((0, 1),))
def path_create_directory(ctx: Context, guest: Guest, fd: int, path: int, length: int) -> None:
    """Create a directory."""
    ctx.directory(guest, fd, Rights.PATH_CREATE_DIRECTORY).mkdir(path_of(ctx, guest, path, length))


@PREVIEW1.function("path_filestat_get", "iiiii->i", apart=((0, 2),))
def path_filestat_get(ctx: Context, guest: Guest, fd: int, flags: int, path: int, length: int, out: int) -> None:
    """Write a file's attributes."""
    write_stat(guest, out, _stat(ctx, guest, fd, flags, path, length))


@UNSTABLE.function("path_filestat_get", "iiiii->i", apart=((0, 2),))
def path_filestat_get_unstable(
    ctx: Context, guest: Guest, fd: int, flags: int, path: int, length: int, out: int
) -> None:
    """The same, in the older layout."""
    guest.write(FILESTAT_UNSTABLE, out, *unstable_stat(_stat(ctx, guest, fd, flags, path, length)))


def _stat(ctx: Context, guest: Guest, fd: int, flags: int, path: int, length: int) -> Stat:
    directory = ctx.directory(guest, fd, Rights.PATH_FILESTAT_GET)
    return directory.path_stat(path_of(ctx, guest, path, length), follows(flags))


@PREVIEW1.function("path_filestat_set_times", "iiiiIIi->i", apart=((0, 2),))
def path_filestat_set_times(
    ctx: Context, guest: Guest, fd: int, flags: int, path: int, length: int, atim: int, mtim: int, chosen: int
) -> None:
    """Set a file's timestamps."""
    directory = ctx.directory(guest, fd, Rights.PATH_FILESTAT_SET_TIMES)
    times = times_of(ctx, atim, mtim, chosen)
    directory.path_set_times(path_of(ctx, guest, path, length), follows(flags), times)


@PREVIEW1.function("path_link", "iiiiiii->i", apart=((0, 2), (4, 5)))
def path_link(
    ctx: Context, guest: Guest, fd: int, flags: int, path: int, length: int, to: int, new_path: int, new_length: int
) -> None:
    """Create a hard link."""
    source = ctx.directory(guest, fd, Rights.PATH_LINK_SOURCE)
    target = ctx.directory(guest, to, Rights.PATH_LINK_TARGET)
    new = path_of(ctx, guest, new_path, new_length)
    source.link(path_of(ctx, guest, path, length), follows(flags), target, new)


@PREVIEW1.function("path_open", "iiiiiIIii->i", apart=((0, 2),))
def path_open(
    ctx: Context,
    guest: Guest,
    fd: int,
    flags: int,
    path: int,
    length: int,
    oflags: int,
    rights: int,
    inheriting: int,
    fdflags: int,
    out: int,
) -> None:
    """Open or create a file or directory.

    The rights asked for decide about reading and writing, as in other runtimes; for the rest a descriptor has what
    its directory passes on, since guests ask for too much and for too little.
    """
    directory = ctx.directory(guest, fd, Rights.PATH_OPEN)
    if oflags >> 4 or fdflags >> 5:
        raise WasiError(Errno.INVAL)
    how = _opening(flags, oflags, fdflags, rights & directory.inheriting)
    if how.oflags & Oflags.CREAT:
        directory.require(Rights.PATH_CREATE_FILE)
    if how.oflags & Oflags.TRUNC:
        directory.require(Rights.PATH_FILESTAT_SET_SIZE)
    guest.check(out, 4)
    name = path_of(ctx, guest, path, length)

    def make() -> Descriptor:
        opened = directory.open(name, how)
        opened.rights = directory.inheriting & opened.default_rights
        opened.rights &= ~((0 if how.read else Rights.FD_READ) | (0 if how.write else WRITING))
        opened.inheriting = directory.inheriting
        opened.opened_as = name
        return opened

    on_host = directory.landing(name, how.follow, True)[0].on_host if directory.is_composed else directory.on_host
    tell_number(ctx, guest, out, cast(int, ctx.open(on_host, make)))


def _opening(flags: int, oflags: int, fdflags: int, rights: int) -> Opening:
    """What the arguments ask for. A directory opens for reading whatever the rights; for writing it is ISDIR later."""
    if oflags & Oflags.DIRECTORY and oflags & (Oflags.CREAT | Oflags.EXCL | Oflags.TRUNC):
        raise WasiError(Errno.INVAL)
    read = bool(rights & Rights.FD_READ or oflags & Oflags.DIRECTORY)
    return Opening(oflags, fdflags, follows(flags), read, bool(rights & Rights.FD_WRITE))


@PREVIEW1.function("path_readlink", "iiiiii->i", apart=((0, 1),))
def path_readlink(
    ctx: Context, guest: Guest, fd: int, path: int, length: int, buffer: int, buffer_length: int, out: int
) -> None:
    """Write a link's target, cut off where the buffer ends."""
    directory = ctx.directory(guest, fd, Rights.PATH_READLINK)
    guest.check(out, 4)
    guest.check(buffer, buffer_length)
    target = directory.readlink(path_of(ctx, guest, path, length))[:buffer_length]
    guest.write_bytes(buffer, target)
    guest.write_u32(out, len(target))


@PREVIEW1.function("path_remove_directory", "iii->i", apart=((0, 1),))
def path_remove_directory(ctx: Context, guest: Guest, fd: int, path: int, length: int) -> None:
    """Remove an empty directory."""
    ctx.directory(guest, fd, Rights.PATH_REMOVE_DIRECTORY).rmdir(path_of(ctx, guest, path, length))


@PREVIEW1.function("path_rename", "iiiiii->i", apart=((0, 1), (3, 4)))
def path_rename(
    ctx: Context, guest: Guest, fd: int, path: int, length: int, to: int, new_path: int, new_length: int
) -> None:
    """Rename or move a file or directory."""
    source = ctx.directory(guest, fd, Rights.PATH_RENAME_SOURCE)
    target = ctx.directory(guest, to, Rights.PATH_RENAME_TARGET)
    source.rename(path_of(ctx, guest, path, length), target, path_of(ctx, guest, new_path, new_length))


@PREVIEW1.function("path_symlink", "iiiii->i", apart=((2, 3),))
def path_symlink(ctx: Context, guest: Guest, old: int, old_length: int, fd: int, path: int, length: int) -> None:
    """Create a symbolic link."""
    directory = ctx.directory(guest, fd, Rights.PATH_SYMLINK)
    directory.symlink(path_of(ctx, guest, old, old_length), path_of(ctx, guest, path, length))


@PREVIEW1.function("path_unlink_file", "iii->i", apart=((0, 1),))
def path_unlink_file(ctx: Context, guest: Guest, fd: int, path: int, length: int) -> None:
    """Remove a file or link."""
    ctx.directory(guest, fd, Rights.PATH_UNLINK_FILE).unlink(path_of(ctx, guest, path, length))
