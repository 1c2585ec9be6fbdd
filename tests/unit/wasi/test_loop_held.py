"""ASYNC-1: nothing that WASI does holds up an event loop, function by function, with descriptors that never answer."""

import asyncio
import socket
import threading

import pytest

from stratavm.wasi import Wasi
from stratavm.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.errno import Errno
from stratavm.wasi.p1 import functions
from tests.unit.wasi.guest import DATA, OUT
from tests.unit.wasi.loops import LoopGuest, run

PATH = (DATA, 1)
IOV = (0x100, 1)
BESIDE = {
    "fd_advise": (4, 0, 0, 0),
    "fd_allocate": (4, 0, 1),
    "fd_close": (4,),
    "fd_datasync": (4,),
    "fd_filestat_get": (4, OUT),
    "fd_filestat_set_size": (4, 1),
    "fd_filestat_set_times": (4, 0, 0, 0),
    "fd_pread": (4, *IOV, 0, OUT),
    "fd_pwrite": (4, *IOV, 0, OUT),
    "fd_read": (4, *IOV, OUT),
    "fd_readdir": (3, DATA, 100, 0, OUT),
    "fd_renumber": (5, 4),
    "fd_seek": (4, 0, 2, OUT),
    "fd_sync": (4,),
    "fd_write": (4, *IOV, OUT),
    "path_create_directory": (3, *PATH),
    "path_filestat_get": (3, 0, *PATH, OUT),
    "path_filestat_set_times": (3, 0, *PATH, 0, 0, 0),
    "path_link": (3, 0, *PATH, 3, *PATH),
    "path_open": (3, 0, *PATH, 0, 0, 0, 0, OUT),
    "path_readlink": (3, *PATH, DATA, 9, OUT),
    "path_remove_directory": (3, *PATH),
    "path_rename": (3, *PATH, 3, *PATH),
    "path_symlink": (*PATH, 3, *PATH),
    "path_unlink_file": (3, *PATH),
}
"""What asks a file system: a thread does, and may hang there."""
WATCHED = {
    "poll_oneoff": (0x400, 0x500, 1, OUT),
    "sock_accept": (7, 0, OUT),
    "sock_recv": (6, *IOV, 0, OUT, OUT + 8),
    "sock_send": (6, 0x108, 1, 0, OUT),
}
"""What waits for others: the loop does."""
AT_ONCE = {
    "args_get": (DATA, DATA),
    "args_sizes_get": (OUT, OUT + 4),
    "clock_res_get": (0, OUT),
    "clock_time_get": (0, 0, OUT),
    "environ_get": (DATA, DATA),
    "environ_sizes_get": (OUT, OUT + 4),
    "fd_fdstat_get": (4, OUT),
    "fd_fdstat_set_flags": (4, 0),
    "fd_fdstat_set_rights": (4, 0, 0),
    "fd_prestat_dir_name": (3, OUT, 1),
    "fd_prestat_get": (3, OUT),
    "fd_tell": (0, OUT),
    "proc_exit": (0,),
    "proc_raise": (0,),
    "random_get": (DATA, 9),
    "sched_yield": (),
    "sock_shutdown": (6, 3),
}
"""What the kernel, or we, do at once. (Yielding is one turn of the loop.)"""


def test_every_function_is_in_one_of_the_tables():
    """A new one joins."""
    named = [*BESIDE, *WATCHED, *AT_ONCE]
    assert sorted(named) == sorted(functions()) == sorted(set(named))


class Dead:
    """Methods that never return, and must not be called by the loop's thread."""

    slow = True
    gate = threading.Event()

    def never(self, *arguments, **named):
        """Hang."""
        if threading.current_thread() is threading.main_thread():
            raise AssertionError("the loop's thread would wait here")
        called.set()
        Dead.gate.wait(60)
        raise OSError(5, "dead")


called = threading.Event()
METHODS = ("read", "write", "pread", "pwrite", "seek", "stat", "set_size", "allocate", "set_times", "sync", "advise")
PATHS = ("open", "path_stat", "path_set_times", "readlink", "mkdir", "rmdir", "unlink", "symlink", "link", "rename")
DeadFile = type("DeadFile", (Dead, Descriptor), dict.fromkeys((*METHODS, "close", "available"), Dead.never))
DeadFolder = type("DeadFolder", (Dead, Directory), dict.fromkeys((*METHODS, *PATHS, "entries", "close"), Dead.never))


@pytest.fixture
def guest():
    """A guest whose files, folders and peers never answer."""
    Dead.gate.clear()
    called.clear()
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    try:
        while True:
            mine.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    listener = socket.create_server(("127.0.0.1", 0))
    wasi = Wasi()
    context = wasi._context
    folder, *files = DeadFolder(), DeadFile(), DeadFile()
    folder.rights, folder.inheriting, folder.preopen = DIRECTORY_RIGHTS, FILE_RIGHTS | DIRECTORY_RIGHTS, b"/"
    for descriptor in (folder, *files):
        context.insert(descriptor)
    for given in (mine, listener):
        from stratavm.wasi.sockets import Socket

        context.insert(Socket(given))
    found = LoopGuest(wasi)
    found.put(b"x")
    found.iovec((DATA, 1))
    found.put((0x800).to_bytes(4, "little") + (1 << 16).to_bytes(4, "little"), 0x108)
    found.subscriptions((1, 1, 6), at=0x400)
    yield found
    Dead.gate.set()
    for number in list(context.table):
        descriptor = context.table.pop(number)
        if not isinstance(descriptor, Dead):
            descriptor.close()
    theirs.close()


@pytest.mark.parametrize("name", [*BESIDE, *WATCHED])
def test_what_never_answers_holds_up_nothing(guest, name):
    """The guest waits, the loop does not; cancelling waits for nothing either."""

    async def main():
        task = asyncio.create_task(guest.start(name, *(BESIDE | WATCHED)[name]))
        if name in BESIDE:
            while not called.is_set() and not task.done():
                await asyncio.sleep(0.001)
        else:
            await asyncio.sleep(0)
        assert not task.done(), task
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not guest.store.busy

    run(main())


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_done_at_once_is(guest, name):
    """In the step in which the guest calls it, with nothing left to the loop but a turn."""

    async def main():
        try:
            error = await asyncio.wait_for(guest.start(name, *AT_ONCE[name]), 60)
        except SystemExit:
            error = 0
        except Exception as raised:
            assert name == "proc_exit", raised
            error = 0
        assert error is None or Errno(error) in (Errno.SUCCESS, Errno.SPIPE, Errno.NOTSUP)

    run(main())
    assert not called.is_set()
