"""Claims about the wall: what machine code in a walled process could still do to the rest of the machine."""

import ctypes
import os
import platform
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stratavm.sandbox import landlock, syscalls, wall
from stratavm.sandbox.wall import Wall
from tests.unit.heap.test_pages import needs_pages

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter knows x86-64's numbers")

PREPARE = """
import ctypes, os, resource, signal, sys
from stratavm.sandbox import landlock
from stratavm.sandbox.wall import Wall, raise_wall

libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def attempt(name, action):
    try:
        action()
        print(name, "allowed")
    except (OSError, MemoryError):
        print(name, "refused")

parent = os.getppid()
"""


def walled(code: str, *, before: str = "raise_wall(Wall())", **options: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process that raised the wall first."""
    script = f"{PREPARE}\n{before}\n{code}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, **options)


def verdicts(code: str, **options: object) -> dict[str, str]:
    """What became of each attempt."""
    done = walled(code, **options)
    assert done.returncode == 0, done.stderr
    return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())


ON_OTHERS = """
info = ctypes.create_string_buffer(128)
ctypes.c_int.from_buffer(info, 0).value = int(signal.SIGUSR1)
ctypes.c_int.from_buffer(info, 8).value = -1
mask = ctypes.create_string_buffer(b"\\1", 128)
limits = (ctypes.c_ulong * 2)(0, 0)
attempt("kill", lambda: os.kill(parent, 0))
attempt("kill of every process", lambda: os.kill(-1, 0))
attempt("tkill", lambda: call(200, parent, int(signal.SIGUSR1)))
attempt("tgkill", lambda: call(234, parent, parent, int(signal.SIGUSR1)))
attempt("rt_sigqueueinfo", lambda: call(129, parent, int(signal.SIGUSR1), info))
attempt("rt_tgsigqueueinfo", lambda: call(297, parent, parent, int(signal.SIGUSR1), info))
attempt("pidfd_open", lambda: call(434, parent, 0))
attempt("pidfd_send_signal", lambda: call(424, 0, 0, None, 0))
attempt("pidfd_getfd", lambda: call(438, 0, 0, 0))
attempt("ptrace", lambda: call(101, 16, parent, 0, 0))
attempt("process_vm_readv", lambda: call(310, parent, None, 0, None, 0, 0))
attempt("process_vm_writev", lambda: call(311, parent, None, 0, None, 0, 0))
attempt("process_madvise", lambda: call(440, 0, None, 0, 21, 0))
attempt("process_mrelease", lambda: call(448, 0, 0))
attempt("kcmp", lambda: call(312, parent, parent, 0, 0, 0))
attempt("prlimit64", lambda: call(302, parent, 7, None, limits))
attempt("limits of its own", lambda: call(160, 7, limits))
attempt("sched_setaffinity", lambda: call(203, parent, 128, mask))
attempt("sched_setscheduler", lambda: call(144, parent, 5, mask))
attempt("setpriority", lambda: call(141, 0, parent, 19))
attempt("ioprio_set", lambda: call(251, 1, parent, 0))
attempt("signals by F_SETOWN", lambda: call(72, 0, 8, parent))
attempt("signals by FIOSETOWN", lambda: call(16, 0, 0x8901, ctypes.byref(ctypes.c_int(parent))))
attempt("typing by TIOCSTI", lambda: call(16, 0, 0x5412, ctypes.c_char_p(b"x")))
attempt("memory of the parent", lambda: os.open(f"/proc/{parent}/mem", os.O_RDWR))
attempt("variables of the parent", lambda: os.open(f"/proc/{parent}/environ", os.O_RDONLY))
attempt("descriptors of the parent", lambda: os.readlink(f"/proc/{parent}/fd/0"))
"""


@pytest.fixture
def got():
    """The signals that this process got."""
    signals = []
    before = signal.signal(signal.SIGUSR1, lambda *_: signals.append(1))
    yield signals
    signal.signal(signal.SIGUSR1, before)


def test_a_walled_process_does_nothing_to_others(got):
    """Every way to signal, trace, slow down or look into the parent is refused, and the parent gets no signal."""
    found = verdicts(ON_OTHERS)
    assert len(found) == 27
    assert {name for name, verdict in found.items() if verdict != "refused"} == set()
    assert got == []


IN_COMMON = """
names = {
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "socket": 41, "socketpair": 53, "connect": 42,
    "shmget": 29, "shmat": 30, "msgget": 68, "semget": 64, "mq_open": 240, "keyctl": 250, "add_key": 248,
    "io_uring_setup": 425, "userfaultfd": 323, "bpf": 321, "perf_event_open": 298, "modify_ldt": 154,
    "personality": 135, "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "chroot": 161, "pivot_root": 155,
    "move_mount": 429, "open_tree": 428, "fsopen": 430, "fsmount": 432, "mount_setattr": 442,
    "open_by_handle_at": 304, "setuid": 105, "setgid": 106, "capset": 126, "ptrace": 101, "seccomp": 317,
    "timer_create": 222, "setitimer": 38, "inotify_init1": 294, "fanotify_init": 300, "quotactl": 179, "acct": 163,
    "syslog": 103, "reboot": 169, "sethostname": 170, "chmod": 90, "chown": 92, "setxattr": 188, "mknodat": 259,
    "uselib": 134, "vmsplice": 278, "splice": 275, "memfd_secret": 447, "pkey_mprotect": 329, "clone3": 435,
}
for name, number in names.items():
    attempt(name, lambda: call(number, 0, 0, 0, 0, 0, 0))
attempt("clone of a process", lambda: call(56, int(signal.SIGCHLD), 0, 0, 0, 0))
attempt("memory to write and execute", lambda: call(9, 0, 4096, 7, 0x22, -1, 0))
import mmap
buffer = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE)
address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
attempt("shared memory, which has no limit", lambda: call(9, 0, 4096, 3, 0x21, -1, 0))
attempt("files in memory, which have no limit", lambda: os.memfd_create("x"))
attempt("a stack, which has no limit", lambda: call(9, 0, 4096, 3, 0x122, -1, 0))
attempt("memory made both", lambda: call(10, address, 4096, 7))
attempt("leave of the parent's death", lambda: call(157, 1, 0))
attempt("being dumpable", lambda: call(157, 4, 1))
def execute_a_memory_file():
    file = os.memfd_create("x")
    os.write(file, open(sys.executable, "rb").read(64))
    os.execve(file, ["x"], {})
attempt("a program in memory", execute_a_memory_file)
"""


def test_a_walled_process_shares_nothing_and_starts_nothing():
    """Programs, sockets, shared memory, keys, mounts, identities: refused, whatever the arguments."""
    found = verdicts(IN_COMMON)
    assert len(found) == 65
    assert {name for name, verdict in found.items() if verdict != "refused"} == set()


PATHS = """
at = os.open(where, os.O_PATH)
attempt("read a granted file", lambda: open(f"{where}/in/a").read())
attempt("list a granted folder", lambda: os.listdir(f"{where}/in"))
attempt("write into a writable folder", lambda: open(f"{where}/out/new", "w").write("x"))
attempt("move within it", lambda: os.replace("out/new", "out/sub/new", src_dir_fd=at, dst_dir_fd=at))
attempt("remove from it", lambda: os.remove("out/sub/new", dir_fd=at))
attempt("times of an open file", lambda: os.utime(os.open(f"{where}/out/kept", os.O_RDONLY), (1, 1)))
attempt("python's own modules", lambda: __import__("colorsys"))
attempt("nowhere", lambda: open(os.devnull, "w").write("x"))
print("--", "--")
attempt("write a file that is only readable", lambda: open(f"{where}/in/a", "w"))
attempt("make a file where only reading is granted", lambda: open(f"{where}/in/b", "w"))
attempt("read what lies beside", lambda: open(f"{where}/secret").read())
attempt("through a link out of the folder", lambda: open(f"{where}/out/link").read())
attempt("move from elsewhere", lambda: os.replace("secret", "out/secret", src_dir_fd=at, dst_dir_fd=at))
attempt("link from elsewhere", lambda: os.link("secret", "out/secret", src_dir_fd=at, dst_dir_fd=at))
attempt("make a FIFO", lambda: os.mkfifo(f"{where}/out/fifo"))
attempt("list the file system", lambda: os.listdir("/"))
attempt("password file", lambda: open("/etc/passwd").read())
attempt("times of what lies beside", lambda: os.utime(f"{where}/secret", (1, 1)))
attempt("times by a descriptor without rights", lambda: call(280, at, ctypes.c_char_p(b""), None, 0x1000))
attempt("shared memory", lambda: open("/dev/shm/strata-x", "w"))
attempt("temporary files", lambda: open("/tmp/strata-x", "w"))
attempt("its own variables", lambda: open("/proc/self/environ").read())
attempt("its own memory", lambda: open("/proc/self/mem", "r+b"))
attempt("its own limits", lambda: open("/proc/self/oom_score_adj", "w").write("0"))
"""


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_only_granted_paths_can_be_reached(tmp_path):
    """The folders named, for what they are named for, and Python's own files to read: nothing else has a path."""
    for folder in ("in", "out/sub"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in/a").write_text("x")
    (tmp_path / "secret").write_text("x")
    (tmp_path / "out/kept").write_text("x")
    (tmp_path / "out/link").symlink_to(tmp_path / "secret")
    grant = f"where = {str(tmp_path)!r}\nraise_wall(Wall(readable=(where + '/in',), writable=(where + '/out',)))"
    found = verdicts(PATHS, before=grant)
    names = list(found)
    granted, others = names[: names.index("--")], names[names.index("--") + 1 :]
    assert {found[name] for name in granted} == {"allowed"}, found
    assert (len(others), {name for name in others if found[name] != "refused"}) == (16, set())


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_a_path_out_of_reach_opens_no_other(tmp_path):
    """A link in a circle, a name too long, one with a NUL: they are left out, and the rest stays shut."""
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "secret").write_text("x")
    grant = f"""
where = {str(tmp_path)!r}
print("problems", len(raise_wall(Wall(readable=(where + "/circle", "a" * 5000, "a\\0b")))))
"""
    read = """attempt("secret", lambda: open(f"{where}/secret").read())"""
    assert verdicts(read, before=grant) == {"problems": "0", "secret": "refused"}


LIMITS = """
for name in ("CORE", "DATA", "FSIZE", "NOFILE", "CPU"):
    print(name, resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1])
attempt("memory", lambda: bytearray(3 << 30))
"""


def test_limits_of_the_system_stand():
    """Memory, files, descriptors, core dumps and processor time end somewhere, and memory really does."""
    found = verdicts(LIMITS, before="assert raise_wall(Wall(timeout=3.0, memory_bytes=1 << 30)) == []")
    assert found == {
        "CORE": "0",
        "DATA": str((1 << 30) + wall.ENGINE_MEMORY_BYTES),
        "FSIZE": str(wall.FILE_BYTES),
        "NOFILE": str(wall.DESCRIPTORS),
        "CPU": str(3 * min(2, os.cpu_count() or 1) + wall.CPU_SLACK_SECONDS),  # a thread may make marks
        "memory": "refused",
    }


def test_a_process_behind_the_wall_still_works():
    """Threads, timers of its own, signals to itself and memory are there as before."""
    code = """
import tempfile, threading, time
done = []
signal.signal(signal.SIGUSR1, lambda *_: done.append("signal"))
thread = threading.Thread(target=lambda: done.append("thread"))
thread.start(); thread.join(); time.sleep(0.01)
signal.raise_signal(signal.SIGUSR1)
print(*sorted(done), len(os.urandom(8)), len(bytes(1 << 24)))
"""
    done = walled(code)
    assert (done.stdout, done.stderr) == (f"signal thread 8 {1 << 24}\n", "")


@pytest.mark.parametrize("abi", ["i386", "x32"])
def test_a_call_of_another_abi_kills(abi):
    """Other tables of system calls have other numbers: the process ends before the call."""
    code = {
        "x32": "call(0x40000000 + 39)",
        # mov eax, 20 (getpid); int 0x80; ret
        "i386": """
import mmap
code = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE)
code.write(bytes.fromhex("b814000000cd80c3"))
address = ctypes.addressof(ctypes.c_char.from_buffer(code))
call(10, address, 4096, 5)
ctypes.CFUNCTYPE(ctypes.c_int)(address)()
""",
    }[abi]
    done = walled(f"{code}\nprint('alive')")
    if abi == "i386" and done.returncode == -signal.SIGSEGV:
        pytest.skip("the kernel was built without i386 calls")
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "")


def test_without_landlock_the_parent_is_still_out_of_reach(got):
    """Root gives up its capabilities, and the wall says what is missing."""
    before = "landlock.version = lambda: 0\nassert len(raise_wall(Wall())) == 1"
    allowed = {name for name, verdict in verdicts(ON_OTHERS, before=before).items() if verdict != "refused"}
    if os.geteuid() == 0:
        assert allowed == set()
    else:  # where the parent does not hide
        assert allowed <= {"memory of the parent", "variables of the parent", "descriptors of the parent"}
    assert got == []


def test_a_second_thread_is_reported():
    """It might do what the first can no longer do."""
    before = """
import threading
stay = threading.Event()
thread = threading.Thread(target=stay.wait, daemon=True)
thread.start()
"""
    done = walled("print(raise_wall(Wall()), flush=True)\nos._exit(0)", before=before)
    assert "another thread" in done.stdout or "another thread" in done.stderr, done


ON_LARGE_PAGES = """
import time
import stratavm
from stratavm.heap.pages import n_ready

instance = stratavm.load('''(module
  (type $node (struct (field i32) (field (ref null $node))))
  (global $list (mut (ref null $node)) (ref.null $node))
  (func (export "grow") (param $n i32)
    (loop (global.set $list (struct.new $node (local.get $n) (global.get $list)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))''')
instance.exports.grow(1000)
raise_wall(Wall())
for _ in range(20):
    instance.exports.grow(32768)
    until = time.monotonic() + 1
    while not n_ready() and instance.store.gc_metrics().used_bytes > 7 << 20 and time.monotonic() < until:
        time.sleep(0.001)
"""


@needs_pages
def test_heaps_lie_on_large_pages_behind_it_as_well():
    """A thread makes them, asks the kernel whether they are there, and has them moved: no call of these is refused."""
    done = walled("print(instance.store.gc_metrics().large_pages > 0, flush=True)", before=ON_LARGE_PAGES)
    assert done.stdout == "True\n", done


def test_the_filter_can_be_read_by_hand():
    """Each instruction is eight bytes, no jump leads out, and the last word is a refusal."""
    program = syscalls.filter_program(os.getpid())
    steps = [program[i : i + 8] for i in range(0, len(program), 8)]
    assert len(program) % 8 == 0
    assert len(steps) < 4096
    for at, step in enumerate(steps):
        assert max(step[2], step[3]) + at + 1 < len(steps) or step[0] == syscalls.GIVE
    assert int.from_bytes(steps[-1][4:], "little") == syscalls.DENY
    assert len(set(syscalls.ALLOWED.values())) == len(syscalls.ALLOWED)


def test_limits_keep_to_what_is_allowed_already(monkeypatch):
    """A lower hard limit stays; one that cannot be set is reported."""
    asked = {}

    def refuse_data(which, values):
        if which == resource.RLIMIT_DATA:
            raise ValueError("not here")
        asked[which] = values

    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 100))
    monkeypatch.setattr(resource, "setrlimit", refuse_data)
    assert wall.limit_resources(Wall()) == ["no limit on memory (not here)"]
    assert asked[resource.RLIMIT_NOFILE] == (100, 100)
    assert resource.RLIMIT_CPU not in asked


def test_limits_beyond_the_numbers_of_the_system_are_as_good_as_none(monkeypatch):
    """They are set as far as the numbers go."""
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda which, values: asked.append(values[1]))
    assert wall.limit_resources(Wall(timeout=1e300, memory_bytes=1 << 80)) == []
    assert max(asked) == wall.MOST
    assert asked.count(wall.MOST) == 2


def test_another_processor_has_no_filter(monkeypatch):
    """Said, not failed."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(OSError, match="aarch64"):
        wall._filter()


def test_constants_of_the_kernel():
    """Numbers of system calls agree with the C library's header, where it is installed."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.is_file():
        pytest.skip("no kernel headers")
    defined = dict(line.split()[1:3] for line in header.read_text().splitlines() if line.startswith("#define __NR_"))
    for name, number in syscalls.ALLOWED.items():
        assert defined[f"__NR_{name}"] == str(number), name
    assert ctypes.sizeof(ctypes.c_long) == 8
