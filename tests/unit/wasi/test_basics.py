"""Arguments, environment, clocks, random bytes, process, standard streams."""

import io
import os
import struct

import pytest

from stratavm.base.errors import ExitError
from stratavm.wasi import FixedClock, Quotas, Wasi
from stratavm.wasi.abi import Clockid, Fdflags, Filetype, Rights
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT, Guest


def strings(guest: Guest, kind: str) -> list[bytes]:
    """What ``args_get`` or ``environ_get`` writes."""
    guest.ok(f"{kind}_sizes_get", OUT, OUT + 4)
    count, size = guest.u32(), guest.u32(OUT + 4)
    guest.ok(f"{kind}_get", 0x100, DATA)
    pointers = struct.unpack_from(f"<{count}I", guest.memory.data, 0x100)
    data = bytes(guest.memory.data[DATA : DATA + size])
    assert guest.memory.data[DATA + size] == 0xAA
    return [data[p - DATA : data.index(b"\0", p - DATA)] for p in pointers]


def test_arguments_and_environment_arrive():
    """In order, as C strings of UTF-8."""
    guest = Guest(Wasi(args=["app", "", "grüße"], env={"HOME": "/", "A": "b=c"}))
    assert strings(guest, "args") == [b"app", b"", "grüße".encode()]
    assert strings(guest, "environ") == [b"HOME=/", b"A=b=c"]


def test_nothing_of_the_host_is_there_by_default():
    """No argument, variable, directory or input."""
    guest = Guest(Wasi())
    assert strings(guest, "args") == strings(guest, "environ") == []
    assert guest.call("fd_prestat_get", 3, OUT) is Errno.BADF
    assert guest.read(0) == b""


@pytest.mark.parametrize("bad", [{"args": ["a\0b"]}, {"env": {"A=B": ""}}, {"env": {"": "x"}}, {"env": {"A": "\0"}}])
def test_a_string_that_c_cannot_hold_is_refused(bad):
    """At construction, with the string."""
    with pytest.raises(ValueError):
        Wasi(**bad)


def test_clocks_run_and_know_nothing_of_the_uptime():
    """Monotonic time starts at zero; a clock that does not exist is INVAL."""
    guest = Guest(Wasi())
    guest.ok("clock_time_get", Clockid.MONOTONIC, 0, OUT)
    first = guest.u64()
    guest.ok("clock_time_get", Clockid.MONOTONIC, 0, OUT)
    assert first <= guest.u64() < 10**9
    guest.ok("clock_time_get", Clockid.REALTIME, 0, OUT)
    assert guest.u64() > 1_700_000_000 * 10**9
    guest.ok("clock_res_get", Clockid.PROCESS_CPUTIME_ID, OUT)
    assert guest.u64() >= 1
    assert guest.call("clock_time_get", 4, 0, OUT) is Errno.INVAL
    assert guest.call("clock_res_get", 0xFFFF_FFFF, OUT) is Errno.INVAL


def test_a_fixed_clock_is_reproducible():
    """Each reading adds the step."""
    guest = Guest(Wasi(clock=FixedClock(1000, step_ns=5)))
    found = []
    for _ in range(3):
        guest.ok("clock_time_get", Clockid.REALTIME, 0, OUT)
        found.append(guest.u64())
    assert found == [1000, 1005, 1010]


def test_a_clock_before_1970_is_zero():
    """WASI's time is unsigned."""
    guest = Guest(Wasi(clock=FixedClock(-5)))
    guest.ok("clock_time_get", Clockid.REALTIME, 0, OUT)
    assert guest.u64() == 0


def test_a_time_beyond_64_bits_is_an_error_for_the_guest():
    """It can sleep a fixed clock there; nothing of that reaches the host as an exception."""
    guest = Guest(Wasi(clock=FixedClock()))
    far = bytes(16) + struct.pack("<QQQQ", Clockid.MONOTONIC, (1 << 64) - 1, 0, 0)
    for _ in range(2):
        guest.ok("poll_oneoff", guest.put(far)[0], 0x2000, 1, OUT)
    for clock in (Clockid.REALTIME, Clockid.MONOTONIC):
        assert guest.call("clock_time_get", clock, 0, OUT) is Errno.OVERFLOW


def test_random_bytes_fill_exactly_the_buffer():
    """Seeded ones are reproducible, others differ."""
    filled = []
    for seed in (1, 1, 2, None, None):
        guest = Guest(Wasi(seed=seed))
        guest.ok("random_get", DATA, 64)
        assert guest.memory.data[DATA - 1] == guest.memory.data[DATA + 64] == 0xAA
        filled.append(bytes(guest.memory.data[DATA : DATA + 64]))
    assert filled[0] == filled[1]
    assert len(set(filled)) == 4
    assert guest.call("random_get", 0x1FFFF, 2) is Errno.FAULT
    assert guest.call("random_get", 0xFFFF_FFFF, 0xFFFF_FFFF) is Errno.FAULT
    guest.ok("random_get", 0x20000, 0)


def test_exit_raises_the_code_and_signals_are_refused():
    """``proc_exit`` never returns."""
    guest = Guest(Wasi())
    with pytest.raises(ExitError) as caught:
        guest.call("proc_exit", 7)
    assert caught.value.code == 7
    assert guest.call("proc_raise", 9) is Errno.NOTSUP
    guest.ok("sched_yield")


def test_output_goes_where_it_is_sent(tmp_path):
    """A bytearray, a callable, a file by path, a file object, nowhere."""
    grown, pieces, path, file = bytearray(), [], tmp_path / "out", io.BytesIO()
    for sink in (grown, pieces.append, path, file, None):
        with Wasi(stdout=sink) as ctx:
            assert Guest(ctx).write(1, b"hello") == 5
    assert (grown, pieces, path.read_bytes(), file.getvalue()) == (b"hello", [b"hello"], b"hello", b"hello")


def test_input_comes_from_where_it_is_given(tmp_path):
    """Bytes, a callable, a file by path, a file object."""
    (tmp_path / "in").write_bytes(b"hello")
    pieces = iter([b"hel", b"lo", b""])
    sources = (b"hello", lambda most: next(pieces), str(tmp_path / "in"), io.BytesIO(b"hello"))
    for source in sources:
        with Wasi(stdin=source) as ctx:
            guest = Guest(ctx)
            assert guest.read(0, 3) + guest.read(0, 9) + guest.read(0, 9) == b"hello"


def test_streams_refuse_the_wrong_direction_and_seeking():
    """As POSIX does: EBADF and ESPIPE."""
    guest = Guest(Wasi(stdin=b"x"))
    assert guest.try_write(0, b"x") is Errno.BADF
    assert guest.call("fd_read", 1, *guest.iovec((DATA, 1)), OUT) is Errno.BADF
    assert guest.call("fd_seek", 0, 0, 0, OUT) is Errno.SPIPE
    assert guest.call("fd_tell", 1, OUT) is Errno.SPIPE
    assert guest.call("fd_pread", 0, *guest.iovec((DATA, 1)), 0, OUT) is Errno.SPIPE
    assert guest.call("fd_filestat_set_size", 1, 0) is Errno.NOTCAPABLE


def test_a_pipe_is_no_terminal():
    """Type UNKNOWN, so that the guest's isatty() says no; the host's own descriptor stays open."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as file, Wasi(stdout=file) as ctx:
        guest = Guest(ctx)
        guest.write(1, b"through")
        guest.ok("fd_fdstat_get", 1, OUT)
        assert guest.memory.data[OUT] == Filetype.UNKNOWN
        ctx.close()
        assert not file.closed
        assert os.read(reading, 100) == b"through"
    os.close(reading)


def test_text_files_and_other_things_are_refused_as_streams():
    """With what to give instead."""
    with pytest.raises(TypeError, match="binary file"):
        Wasi(stdout=io.StringIO())
    with pytest.raises(TypeError, match="expected"):
        Wasi(stdin=5)


def test_an_exception_of_a_stream_s_callable_reaches_the_host():
    """It is not turned into an error number, not even an ``OSError``."""
    for kind in (RuntimeError, ConnectionResetError, TimeoutError, OverflowError):

        def broken(data: bytes, kind: type[Exception] = kind) -> None:
            raise kind("mine")

        with pytest.raises(kind, match="mine"):
            Guest(Wasi(stdout=broken)).try_write(1, b"x")


def test_a_waiting_read_lets_the_host_interrupt():
    """The checkpoint is called while a pipe stays empty."""
    reading, writing = os.pipe()
    calls = []

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TimeoutError

    with os.fdopen(reading, "rb", buffering=0) as file, Wasi(stdin=file, checkpoint=checkpoint) as ctx:
        guest = Guest(ctx)
        with pytest.raises(TimeoutError):
            guest.read(0, 1)
        assert len(calls) == 2
        guest.ok("fd_fdstat_set_flags", 0, Fdflags.NONBLOCK)
        os.set_blocking(reading, False)
        assert guest.call("fd_read", 0, *guest.iovec((DATA, 1)), OUT) is Errno.AGAIN
    os.close(writing)


def test_rights_can_be_given_up_and_never_regained():
    """``fd_fdstat_set_rights`` only shrinks."""
    guest = Guest(Wasi(stdout=bytearray()))
    guest.ok("fd_fdstat_set_rights", 1, Rights.FD_FILESTAT_GET, 0)
    assert guest.try_write(1, b"x") is Errno.BADF
    assert guest.call("fd_fdstat_set_rights", 1, Rights.FD_WRITE, 0) is Errno.NOTCAPABLE
    guest.ok("fd_filestat_get", 1, OUT)


def test_a_closed_context_does_nothing_more():
    """Every call is BADF, and closing twice is fine."""
    ctx = Wasi(args=["a"])
    ctx.close()
    ctx.close()
    assert Guest(ctx).call("args_get", 0, 0) is Errno.BADF


def test_too_many_preopens_are_the_host_s_mistake(tmp_path):
    """ValueError, not an error number."""
    with pytest.raises(ValueError, match="quota"):
        Wasi(preopens=[(tmp_path, "/", "rw")], quotas=Quotas(descriptors=3))


def test_a_very_large_write_to_a_callable_is_taken_in_part():
    """No call copies more than a mebibyte at a time; the guest writes the rest, as with a pipe."""
    pieces: list[bytes] = []
    guest = Guest(Wasi(stdout=pieces.append))
    guest.memory.data.extend(bytes(1 << 20))
    guest.ok("fd_write", 1, *guest.iovec((DATA, 3), (0, 1 << 20)), OUT)
    assert guest.u32() == len(pieces[0]) == 1 << 20


def test_a_large_request_for_random_bytes_can_be_interrupted():
    """Between chunks."""

    def stop() -> None:
        raise TimeoutError

    guest = Guest(Wasi(checkpoint=stop, seed=1))
    with pytest.raises(TimeoutError):
        guest.call("random_get", 0, 0x20000)
