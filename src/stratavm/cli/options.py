"""Options that several subcommands share, and their way into a ``Config``."""

from __future__ import annotations

import argparse
import os
import re
from posixpath import normpath
from typing import Any, Final

from stratavm.base import numbers
from stratavm.engine.config import ALLOCATORS, TIERS, Config

SIZES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
MODES: Final = {"ro": True, "rw": False}
"""Whether a directory is read-only, by how its option ends."""


def add_module(parser: argparse.ArgumentParser) -> None:
    """The module that a command looks at."""
    parser.add_argument("module", metavar="FILE", help="a module, binary or text; - is standard input")


def add_output(parser: argparse.ArgumentParser) -> None:
    """``-o``."""
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default, and -: standard output)")


def add_tier(parser: argparse.ArgumentParser) -> None:
    """``--tier``, ``--allocator`` and ``--memory-plan``."""
    parser.add_argument(
        "--tier",
        choices=TIERS,
        help="how to run: jit0 compiles fast (default), jit1 optimises, oracle is the slow reference",
    )
    parser.add_argument("--allocator", choices=ALLOCATORS, help="register allocator")
    parser.add_argument(
        "--memory-plan", choices=("guard", "bounded"), default="guard", help="bounds checks by the MMU or in code"
    )


def add_json(parser: argparse.ArgumentParser, what: str = "data for programs") -> None:
    """``--json``, which prints ``what``."""
    parser.add_argument("--json", action="store_true", help=f"print {what}")


def config(options: argparse.Namespace) -> Config:
    """The engine's configuration; naming a native tier makes it strict."""
    return Config(
        tier=options.tier or "jit0",
        strict=options.tier in ("jit0", "jit1"),
        allocator=options.allocator,
        memory_plan=options.memory_plan,
        max_memory_bytes=getattr(options, "max_memory", None),
        fuel=getattr(options, "fuel", None) is not None,
    )


def size(text: str) -> int:
    """Bytes from ``65536``, ``64k``, ``512M`` or ``2GiB``."""
    match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a size such as 64M, got {text!r}")
    return int(match[1]) * SIZES[match[2]]


def units(text: str) -> int:
    """A number of units of fuel, 0 to 2**63 - 1."""
    if not text.isascii() or not text.isdecimal() or int(text) >> 63:
        raise argparse.ArgumentTypeError(f"expected a whole number of units such as 1000000, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = numbers.seconds("it", float(text))
    except ValueError:
        value = 0.0
    if value == 0:
        raise argparse.ArgumentTypeError(f"expected a positive number of seconds, got {text!r}")
    return value


class Folders(argparse.Action):
    """``--dir``, which may be repeated, but not for one place in the guest: which folder it saw would be a matter of
    its C library.
    """

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Add a folder."""
        before: list[tuple[str, str, bool]] = getattr(namespace, self.dest)
        host, guest, _ = values
        for other, place, _ in before:
            if normpath(place) == normpath(guest):
                raise argparse.ArgumentError(self, f"'{other}' and '{host}' cannot both be at '{guest}' in the guest")
        setattr(namespace, self.dest, [*before, values])


def directory(text: str) -> tuple[str, str, bool]:
    """(host path, guest path, read-only) from ``HOST[::GUEST]`` and, at its end, ``::ro`` or ``::rw``.

    Without either it is read-only. ``HOST::GUEST:ro``, as it was written before, is understood.
    """
    host, *rest = text.removesuffix(":ro").split("::") if re.search(r"[^:]:ro$", text) else text.split("::")
    meant = re.fullmatch(r"(.*[^:])::?([^:]+):(rw)|([^:]+):(/[^:]*)(:ro)?", text)
    if meant and not os.path.exists(text):
        doubled = re.sub(":+", "::", text)
        raise argparse.ArgumentTypeError(f"single colons do not separate, got {text!r}: did you mean {doubled!r}?")
    read_only = MODES[rest.pop()] if rest and rest[-1] in MODES else True
    if not host or len(rest) > 1 or rest == [""]:
        raise argparse.ArgumentTypeError(f"expected HOST::GUEST, HOST::GUEST::ro or HOST::GUEST::rw, got {text!r}")
    return host, rest[0] if rest else host, read_only


def variable(text: str) -> tuple[str, str]:
    """``NAME=VALUE``, or ``NAME`` for the value that it has here."""
    name, equals, value = text.partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE or NAME, got {text!r}")
    if not equals and name not in os.environ:
        raise argparse.ArgumentTypeError(f"{name} is not set here: give it a value with {name}=VALUE")
    return name, value if equals else os.environ[name]
