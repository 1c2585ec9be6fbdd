"""Descriptors: reading, writing, attributes."""

from __future__ import annotations

from _collections_abc import Coroutine

from stratavm.base.forms import Any, Final
from stratavm.base.importing import importing, partial
from stratavm.wasi.abi import (
    ADVICES,
    FDSTAT,
    FILESTAT,
    FILESTAT_UNSTABLE,
    PREOPEN_DIRECTORY,
    PRESTAT,
    Fstflags,
    Rights,
    Whence,
)
from stratavm.wasi.buffers import size_of
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Stat, Times
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.patience import Rest, told_later
from stratavm.wasi.registry import PREVIEW1, UNSTABLE

ALLOCATED_AT_ONCE: Final = 64 << 20
"""Bytes of a file that are reserved between two looks at whether the host wants to interrupt."""


def signed64(value: int) -> int:
    """An unsigned 64-bit number read as a signed one."""
    return value - (1 << 64) if value >> 63 else value


def offset_of(value: int) -> int:
    """A file offset or size; what no file can have is INVAL."""
    if value >> 63:
        raise WasiError(Errno.INVAL)
    return value


def times_of(ctx: Context, atim: int, mtim: int, flags: int) -> Times:
    """The timestamps that the flags choose."""
    if flags >> 4 or flags & 3 == 3 or flags & 12 == 12:
        raise WasiError(Errno.INVAL)
    chosen = flags
    now = ctx.clock.realtime_ns() if chosen & (Fstflags.ATIM_NOW | Fstflags.MTIM_NOW) else 0
    return (
        atim if chosen & Fstflags.ATIM else now if chosen & Fstflags.ATIM_NOW else None,
        mtim if chosen & Fstflags.MTIM else now if chosen & Fstflags.MTIM_NOW else None,
    )


def write_stat(guest: Guest, pointer: int, stat: Stat) -> None:
    """Write a ``filestat``."""
    guest.write(FILESTAT, pointer, *stat)


def tell_u32(guest: Guest, out: int, result: int | Coroutine[Any, Any, int]) -> Rest:
    """Write a result, or return what writes it once it is there."""
    if isinstance(result, int):
        guest.write_u32(out, result)
        return None
    return told_later(partial(guest.write_u32, out), result)


@PREVIEW1.function("fd_advise", "iIIi->i", apart=(0,))
def fd_advise(ctx: Context, guest: Guest, fd: int, offset: int, length: int, advice: int) -> None:
    """Tell how a file will be used."""
    descriptor = ctx.get(guest, fd, Rights.FD_ADVISE)
    if advice >= ADVICES:
        raise WasiError(Errno.INVAL)
    descriptor.advise(offset_of(offset), offset_of(length), advice)


@PREVIEW1.function("fd_allocate", "iII->i", apart=(0,))
def fd_allocate(ctx: Context, guest: Guest, fd: int, offset: int, length: int) -> None:
    """Make sure that a range of a file exists."""
    descriptor = ctx.get(guest, fd, Rights.FD_ALLOCATE)
    if length == 0:
        raise WasiError(Errno.INVAL)
    offset_of(offset + length)
    descriptor.changing()
    ctx.may_write(length)
    left = length
    try:
        while left:
            if left < length:
                ctx.pause(guest)
            piece = min(ALLOCATED_AT_ONCE, left)
            descriptor.allocate(offset + length - left, piece)
            left -= piece
    finally:
        ctx.did_not_write(left)


@PREVIEW1.function("fd_close", "i->i", apart=(0,))
def fd_close(ctx: Context, guest: Guest, fd: int) -> None:
    """Close."""
    ctx.remove(fd)


@PREVIEW1.function("fd_datasync", "i->i", apart=(0,))
def fd_datasync(ctx: Context, guest: Guest, fd: int) -> None:
    """Write the data through."""
    ctx.get(guest, fd, Rights.FD_DATASYNC).sync(data_only=True)


@PREVIEW1.function("fd_sync", "i->i", apart=(0,))
def fd_sync(ctx: Context, guest: Guest, fd: int) -> None:
    """Write data and attributes through."""
    ctx.get(guest, fd, Rights.FD_SYNC).sync(data_only=False)


@PREVIEW1.function("fd_fdstat_get", "ii->i", short.FdFdstatGet)
def fd_fdstat_get(ctx: Context, guest: Guest, fd: int, out: int) -> None:
    """Write a descriptor's type, flags and rights."""
    d = ctx.get(guest, fd)
    guest.write(FDSTAT, out, d.filetype, d.flags, d.rights, d.inheriting)


@PREVIEW1.function("fd_fdstat_set_flags", "ii->i", short.FdFdstatSetFlags)
def fd_fdstat_set_flags(ctx: Context, guest: Guest, fd: int, flags: int) -> None:
    """Change a descriptor's flags."""
    descriptor = ctx.get(guest, fd, Rights.FD_FDSTAT_SET_FLAGS)
    if flags >> 5:
        raise WasiError(Errno.INVAL)
    descriptor.set_flags(flags)


@PREVIEW1.function("fd_fdstat_set_rights", "iII->i")
def fd_fdstat_set_rights(ctx: Context, guest: Guest, fd: int, base: int, inheriting: int) -> None:
    """Give rights up; they cannot be gained."""
    descriptor = ctx.get(guest, fd)
    if base & ~descriptor.rights or inheriting & ~descriptor.inheriting:
        raise WasiError(Errno.NOTCAPABLE)
    descriptor.rights, descriptor.inheriting = base, inheriting


@PREVIEW1.function("fd_filestat_get", "ii->i", short.FdFilestatGet, apart=(0,))
def fd_filestat_get(ctx: Context, guest: Guest, fd: int, out: int) -> None:
    """Write a file's attributes."""
    write_stat(guest, out, ctx.get(guest, fd, Rights.FD_FILESTAT_GET).stat())


@UNSTABLE.function("fd_filestat_get", "ii->i", apart=(0,))
def fd_filestat_get_unstable(ctx: Context, guest: Guest, fd: int, out: int) -> None:
    """The same, in the older layout."""
    guest.write(FILESTAT_UNSTABLE, out, *unstable_stat(ctx.get(guest, fd, Rights.FD_FILESTAT_GET).stat()))


def unstable_stat(stat: Stat) -> Stat:
    """Attributes whose link count fits in 32 bits."""
    return stat._replace(nlink=min(stat.nlink, 0xFFFF_FFFF))


@PREVIEW1.function("fd_filestat_set_size", "iI->i", apart=(0,))
def fd_filestat_set_size(ctx: Context, guest: Guest, fd: int, size: int) -> None:
    """Truncate a file, or extend it with zeros."""
    descriptor = ctx.get(guest, fd, Rights.FD_FILESTAT_SET_SIZE)
    descriptor.changing()
    growth = max(0, offset_of(size) - descriptor.stat().size)
    ctx.may_write(growth)
    try:
        descriptor.set_size(size)
    except BaseException:
        ctx.did_not_write(growth)
        raise


@PREVIEW1.function("fd_filestat_set_times", "iIIi->i", apart=(0,))
def fd_filestat_set_times(ctx: Context, guest: Guest, fd: int, atim: int, mtim: int, flags: int) -> None:
    """Set a file's timestamps."""
    descriptor = ctx.get(guest, fd, Rights.FD_FILESTAT_SET_TIMES)
    times = times_of(ctx, atim, mtim, flags)
    descriptor.changing()
    descriptor.set_times(times)


@PREVIEW1.function("fd_read", "iiii->i", short.FdRead)
def fd_read(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, out: int) -> Rest:
    """Read at the position."""
    descriptor = ctx.get(guest, fd, Rights.FD_READ)
    guest.check(out, 4)
    return tell_u32(guest, out, ctx.read(guest, descriptor, guest.iovecs(iovs, count)))


@PREVIEW1.function("fd_pread", "iiiIi->i", short.FdPread)
def fd_pread(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, offset: int, out: int) -> Rest:
    """Read at an offset."""
    descriptor = ctx.get(guest, fd, Rights.FD_READ | Rights.FD_SEEK)
    guest.check(out, 4)
    return tell_u32(guest, out, ctx.read(guest, descriptor, guest.iovecs(iovs, count), offset_of(offset)))


@PREVIEW1.function("fd_write", "iiii->i", short.FdWrite)
def fd_write(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, out: int) -> Rest:
    """Write at the position."""
    descriptor = ctx.get(guest, fd, Rights.FD_WRITE)
    guest.check(out, 4)
    return tell_u32(guest, out, ctx.write(guest, descriptor, guest.iovecs(iovs, count)))


@PREVIEW1.function("fd_pwrite", "iiiIi->i", short.FdPwrite)
def fd_pwrite(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, offset: int, out: int) -> Rest:
    """Write at an offset."""
    descriptor = ctx.get(guest, fd, Rights.FD_WRITE | Rights.FD_SEEK)
    guest.check(out, 4)
    buffers = guest.iovecs(iovs, count)
    offset_of(offset + size_of(buffers))
    return tell_u32(guest, out, ctx.write(guest, descriptor, buffers, offset))


@PREVIEW1.function("fd_prestat_get", "ii->i", short.FdPrestatGet)
def fd_prestat_get(ctx: Context, guest: Guest, fd: int, out: int) -> None:
    """Write what kind of pre-opened thing a descriptor is: a directory, and the length of its name."""
    name = _preopen(ctx, guest, fd)
    guest.check(out, PRESTAT.size)
    guest.write_u32(out, PREOPEN_DIRECTORY)
    guest.write_u32(out + 4, len(name))


@PREVIEW1.function("fd_prestat_dir_name", "iii->i", short.FdPrestatDirName)
def fd_prestat_dir_name(ctx: Context, guest: Guest, fd: int, path: int, length: int) -> None:
    """Write the name of a pre-opened directory."""
    name = _preopen(ctx, guest, fd)
    if length < len(name):
        raise WasiError(Errno.NAMETOOLONG)
    guest.write_bytes(path, name)


def _preopen(ctx: Context, guest: Guest, fd: int) -> bytes:
    """The name of a pre-opened directory; BADF for any other descriptor, which ends the guest's search."""
    ctx.gave_preopens = True
    name = ctx.get(guest, fd).preopen
    if name is None:
        raise WasiError(Errno.BADF)
    return name


@PREVIEW1.function("fd_readdir", "iiiIi->i", apart=(0,))
def fd_readdir(ctx: Context, guest: Guest, fd: int, buffer: int, length: int, cookie: int, out: int) -> None:
    """Write entries from a cookie on, the last one cut off where the buffer ends.

    A cookie is the number of entries before it in what the directory held at cookie 0, so it stays true.
    """
    directory = ctx.directory(guest, fd, Rights.FD_READDIR)
    guest.check(out, 4)
    guest.check(buffer, length)
    listing = directory.cursor
    if cookie == 0 or listing is None:
        with importing:
            from stratavm.wasi.listing import renew

        listing = renew(ctx, guest, directory)
    found = listing.behind(cookie, length)
    guest.write_bytes(buffer, bytes(found))
    guest.write_u32(out, len(found))


@PREVIEW1.function("fd_renumber", "ii->i", apart=(0, 1))
def fd_renumber(ctx: Context, guest: Guest, fd: int, to: int) -> None:
    """Move a descriptor onto another one."""
    ctx.renumber(guest, fd, to)


@PREVIEW1.function("fd_seek", "iIii->i", short.FdSeek, apart=(0,))
def fd_seek(ctx: Context, guest: Guest, fd: int, delta: int, whence: int, out: int) -> None:
    """Move the position and write the new one."""
    _seek(ctx, guest, fd, delta, whence, out)


@UNSTABLE.function("fd_seek", "iIii->i", apart=(0,))
def fd_seek_unstable(ctx: Context, guest: Guest, fd: int, delta: int, whence: int, out: int) -> None:
    """The same, with the older numbers: current, end, start."""
    _seek(ctx, guest, fd, delta, {0: Whence.CUR, 1: Whence.END, 2: Whence.SET}.get(whence, whence), out)


def _seek(ctx: Context, guest: Guest, fd: int, delta: int, whence: int, out: int) -> None:
    distance = signed64(delta)
    only_tells = distance == 0 and whence == Whence.CUR
    descriptor = ctx.get(guest, fd, Rights.FD_TELL if only_tells else Rights.FD_SEEK)
    if whence > Whence.END:
        raise WasiError(Errno.INVAL)
    guest.check(out, 8)
    guest.write_u64(out, descriptor.seek(distance, Whence(whence)))


@PREVIEW1.function("fd_tell", "ii->i", short.FdTell)
def fd_tell(ctx: Context, guest: Guest, fd: int, out: int) -> None:
    """Write the position."""
    guest.check(out, 8)
    guest.write_u64(out, ctx.get(guest, fd, Rights.FD_TELL).seek(0, Whence.CUR))
