"""``strata run --isolate``: the guest in a process of its own, with resource limits and a system-call filter.

A second wall behind the sandbox: should a bug of the compiler let a guest run its own machine code, the process
can start no
program, open no socket, trace nobody and load nothing into the kernel. It is no replacement for a container.

The child is this command again; it applies the limits to itself after it has read its options and before it reads
the module.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import resource
import signal
import struct
import subprocess
import sys
from typing import Final

from stratavm.cli import output

ISOLATED: Final = "STRATA_ISOLATED"

# A guest memory reserves 8 GiB of address space and the code arena 2 GiB: RLIMIT_AS guards against run-away
# reservations, the engine's own limits and RLIMIT_DATA against run-away memory.
ADDRESS_SPACE: Final = 1 << 40
DESCRIPTORS: Final = 256
CPU_SLACK_SECONDS: Final = 5

PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22
PR_SET_DUMPABLE: Final = 4
SECCOMP_MODE_FILTER: Final = 2

AUDIT_ARCH_X86_64: Final = 0xC000003E
ALLOW: Final = 0x7FFF0000
DENY: Final = 0x00050001  # SECCOMP_RET_ERRNO | EPERM
NO_SUCH_CALL: Final = 0x00050026  # SECCOMP_RET_ERRNO | ENOSYS
KILL: Final = 0x80000000
X32_BIT: Final = 0x40000000

REFUSED: Final[dict[str, int]] = {
    "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "pidfd_getfd": 438,
    "socket": 41, "socketpair": 53, "connect": 42, "bind": 49, "listen": 50,
    "kill": 62, "tkill": 200, "pidfd_send_signal": 424,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "move_mount": 429,
    "open_tree": 428, "fsopen": 430, "fsmount": 432, "mount_setattr": 442,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "sethostname": 170, "setdomainname": 171, "acct": 163,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "keyctl": 250, "add_key": 248, "request_key": 249,
    "setuid": 105, "setgid": 106, "setreuid": 113, "setregid": 114, "setgroups": 116, "setresuid": 117,
    "setresgid": 119, "capset": 126, "personality": 135, "iopl": 172, "ioperm": 173, "mknod": 133, "mknodat": 259,
    "open_by_handle_at": 304, "name_to_handle_at": 303, "settimeofday": 164, "clock_settime": 227, "adjtimex": 159,
}  # fmt: skip
"""System calls that a guest's process never needs (x86-64 numbers); they fail with EPERM."""

CLONE3: Final = 435
"""Its flags lie in memory, where a filter cannot look: "not there" makes the C library use ``clone``."""
CLONE: Final = 56
CLONE_THREAD: Final = 0x00010000


def run_isolated(options: argparse.Namespace) -> int:
    """In the parent: start the child and pass its exit code on. In the child: wall off, then run."""
    if os.environ.pop(ISOLATED, "") == "1":
        for problem in wall_off(options.timeout):
            output.note(f"isolation is weaker here: {problem}")
        from stratavm.cli.run import run_here

        return run_here(options)
    command = [sys.executable, "-m", "stratavm", *sys.argv[1:]]
    child = subprocess.Popen(command, env={**os.environ, ISOLATED: "1"})
    while True:
        try:
            code = child.wait()
            break
        except KeyboardInterrupt:
            # The terminal sent it to the child as well; let the child finish its own way.
            continue
    if code == -signal.SIGXCPU:
        output.note("the guest used up its processor time")
    return code if code >= 0 else 128 - code


def wall_off(timeout: float | None) -> list[str]:
    """Apply every limit to this process; returns what could not be applied."""
    problems = limit_resources(timeout)
    problems += filter_system_calls()
    return problems


def limit_resources(timeout: float | None) -> list[str]:
    """Resource limits: core dumps, address space, descriptors, processes, processor time."""
    limits = [
        (resource.RLIMIT_CORE, 0, "core dumps"),
        (resource.RLIMIT_AS, ADDRESS_SPACE, "address space"),
        (resource.RLIMIT_NOFILE, DESCRIPTORS, "descriptors"),
    ]
    if timeout is not None:
        limits.append((resource.RLIMIT_CPU, int(timeout) + CPU_SLACK_SECONDS, "processor time"))
    problems = []
    for which, wanted, name in limits:
        hard = resource.getrlimit(which)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(which, (value, value))
        except (OSError, ValueError) as error:
            problems.append(f"no limit on {name} ({error})")
    return problems


def filter_system_calls() -> list[str]:
    """Install the filter for good; returns why not, where the kernel has none."""
    if platform.machine() != "x86_64":
        return [f"no system-call filter for {platform.machine()}"]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        return [f"no system-call filter (prctl: {os.strerror(ctypes.get_errno())})"]
    program = filter_program()
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0):
        return [f"no system-call filter (seccomp: {os.strerror(ctypes.get_errno())})"]
    return []


def filter_program() -> bytes:
    """The filter as classic BPF: another ABI is killed, refused calls fail, ``clone`` may only make threads."""
    load, equal, at_least, bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    program = [
        (load, 0, 0, 4),  # seccomp_data.arch
        (equal, 1, 0, AUDIT_ARCH_X86_64),
        (give, 0, 0, KILL),
        (load, 0, 0, 0),  # seccomp_data.nr
        (at_least, 0, 1, X32_BIT),
        (give, 0, 0, KILL),
        (equal, 0, 3, CLONE),
        (load, 0, 0, 16),  # the low half of its first argument: flags
        (bit, 1, 0, CLONE_THREAD),
        (give, 0, 0, DENY),
        (load, 0, 0, 0),
        (equal, 0, 1, CLONE3),
        (give, 0, 0, NO_SUCH_CALL),
    ]
    for number in sorted(REFUSED.values()):
        program += [(equal, 0, 1, number), (give, 0, 0, DENY)]
    program.append((give, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
