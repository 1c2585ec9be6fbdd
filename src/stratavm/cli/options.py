"""Options that several subcommands share, and their way into a ``Config``."""

from __future__ import annotations

import os
from posixpath import normpath

from stratavm.base import numbers
from stratavm.base.choices import ALLOCATORS, TIERS, WORDS
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    import argparse

    from stratavm.aot.profile import Profile
    from stratavm.cli.program import Options, Table
    from stratavm.engine.config import Config
    from stratavm.runtime.limits import StoreLimits

PREFIXES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SIZES: Final = {prefix + unit: size for prefix, size in PREFIXES.items() for unit in ("", "b", "ib")}
UNITS: Final = "a whole number of bytes, or of k, M, G or T of 1,024 each"
LAST_PORT: Final = 0xFFFF
MOST_THREADS: Final = 1 << 20
"""More than any system has."""
MODES: Final = {"ro": True, "rw": False}
"""Whether a directory is read-only, by how its option ends."""


LONGEST_TYPO: Final = 4
"""Characters of what may be meant for ``on`` or ``off``."""
COUNTING: Final = ("tier_report", "profile_out", "profile")
"""Options of ``run`` that mean the tier that counts."""


def add_module(parser: argparse.ArgumentParser) -> None:
    """The module that a command looks at."""
    parser.add_argument("module", metavar="FILE", help="a module, binary or text; - is standard input")


def add_output(parser: argparse.ArgumentParser) -> None:
    """``-o``."""
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default, and -: standard output)")


def proposal(text: str) -> str:
    """The name of a proposal that a module may use on request."""
    from stratavm.module.features import ALL, DEFAULT

    if text not in ALL:
        asked = ", ".join(sorted(ALL - DEFAULT))
        refuse(f"{text!r} is no proposal; on request are {asked}; the others are on, unless Config.features has less")
    return text


PROPOSAL: Final[tuple[tuple[str, ...], dict[str, Any]]] = (
    ("--proposal",),
    {"action": "append", "default": [], "type": proposal, "metavar": "NAME",
     "help": "let the module use a proposal that is there only on request, e.g. custom-page-sizes (repeatable)"},
)  # fmt: skip
"""``--proposal``, for a table of options."""
TIER: Final[Table] = (
    (
        ("--tier",),
        {"choices": TIERS, "help": "how to run: auto begins as jit0 and optimises what runs much (default), jit0 "
         "compiles fast, jit1 optimises, oracle is the slow reference"},
    ),
    (("--allocator",), {"choices": ALLOCATORS, "help": "register allocator"}),
    (
        ("--memory-plan",),
        {"choices": ("guard", "bounded"), "default": "guard", "help": "bounds checks by the MMU or in code"},
    ),
    PROPOSAL,
)  # fmt: skip
"""``--tier``, ``--allocator``, ``--memory-plan`` and ``--proposal``."""


def json(what: str = "data for programs") -> tuple[tuple[str, ...], dict[str, Any]]:
    """``--json``, which prints ``what``, for a table of options."""
    return ("--json",), {"action": "store_true", "help": f"print {what}"}


def add_tier(parser: argparse.ArgumentParser) -> None:
    """The options of ``TIER``."""
    for names, settings in TIER:
        parser.add_argument(*names, **settings)


def add_proposal(parser: argparse.ArgumentParser) -> None:
    """``--proposal``."""
    names, settings = PROPOSAL
    parser.add_argument(*names, **settings)


def features(options: argparse.Namespace | Options) -> frozenset[str]:
    """What a module may use: what it may everywhere, and what was asked for."""
    from stratavm.module.features import DEFAULT

    return DEFAULT | frozenset(options.proposal)


def add_json(parser: argparse.ArgumentParser, what: str = "data for programs") -> None:
    """``--json``, which prints ``what``."""
    names, settings = json(what)
    parser.add_argument(*names, **settings)


def refuse(said: str) -> NoReturn:
    """Say what is wrong with an option's value, as ``argparse`` wants to hear it."""
    from argparse import ArgumentTypeError

    raise ArgumentTypeError(said)


def config(options: argparse.Namespace | Options) -> Config:
    """The engine's configuration; naming a native tier makes it strict."""
    from stratavm.engine.config import Config

    return Config(
        tier=options.tier or "auto",
        strict=options.tier in ("jit0", "jit1"),
        allocator=options.allocator,
        memory_plan=options.memory_plan,
        features=features(options),
        max_memory_bytes=getattr(options, "max_memory", None),
        cache=_cache("off" if getattr(options, "profile_out", None) else getattr(options, "cache", None)),
        fuel=getattr(options, "fuel", None) is not None,
        profile=profile(getattr(options, "profile", None)),
        **_collector(options),
    )


def _collector(options: argparse.Namespace | Options) -> dict[str, Any]:
    """``Config.gc``, where something is said of it, or somebody wants to read what the collector did."""
    said = {name: getattr(options, f"gc_{name}", None) for name in ("pause_us", "soft_bytes", "hard_bytes")}
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    if getattr(options, "gc_log", False) or getattr(options, "gc_plot", None):
        from stratavm.cli.heap import JOURNAL

        given["journal_entries"] = JOURNAL
    if not given:
        return {}
    from stratavm.runtime.limits import GcConfig

    return {"gc": GcConfig(**given)}


def limits(options: argparse.Namespace | Options) -> StoreLimits | None:
    """The limits of the store of a program: its memories together, and its objects together, may have so much, and both
    with all the rest little more."""
    most = getattr(options, "max_memory", None)
    if most is None:
        return None
    from stratavm.runtime.limits import BESIDE_LIMITED, StoreLimits

    return StoreLimits(memories_bytes=most, heap_bytes=most, total_bytes=most + BESIDE_LIMITED)


def named_by(option: str, error: OSError) -> OSError:
    """An error of a file, which says from here on which option named it."""
    if isinstance(error.filename, str):
        error.filename = f"{option} {error.filename}"
    return error


def profile(path: str | None) -> Profile | None:
    """The profile in a file that ``--profile`` names.

    Raises:
        OSError, ProfileError: there is none.
    """
    if path is None:
        return None
    from stratavm.aot.profile import Profile

    try:
        return Profile.load(path)
    except OSError as error:
        raise named_by("--profile", error) from None


def key(path: str) -> bytes:
    """The key in a file that ``--key`` names.

    Raises:
        OSError, ValueError: there is none.
    """
    from stratavm.aot.trust import read_key_file

    try:
        return read_key_file(path)
    except OSError as error:
        raise named_by("--key", error) from None


def _cache(said: str | None) -> bool | str:
    """``Config.cache`` from ``on``, ``off`` or a folder."""
    return True if said is None else WORDS.get(said, os.path.abspath(said))


def size(text: str) -> int:
    """Bytes from ``65536``, ``64k``, ``512M``, ``2GiB`` or ``1T``."""
    written = text.strip().lower()
    count = next((at for at, letter in enumerate(written) if not letter.isdecimal()), len(written))
    unit = SIZES.get(written[count:].lstrip())
    if count == 0 or unit is None:
        refuse(f"expected a size such as 64M, {UNITS}, got {text!r}")
    return int(written[:count]) * unit


def units(text: str) -> int:
    """A number of units of fuel, 0 to 2**63 - 1."""
    if not text.isascii() or not text.isdecimal() or int(text) >> 63:
        refuse(f"expected a whole number of units such as 1000000, got {text!r}")
    return int(text)


def threads(text: str) -> int:
    """How many threads, 0 to a million."""
    if not text.isascii() or not text.isdecimal() or int(text) > MOST_THREADS:
        refuse(f"expected a number of threads such as 8, got {text!r}")
    return int(text)


def folder_of_code(text: str) -> str:
    """``on``, ``off`` or the path of a directory. One is made where there is none, so a typo of a word is refused."""
    if len(text) <= LONGEST_TYPO and os.sep not in text and text not in WORDS:
        from stratavm.base.words import did_you_mean

        near = did_you_mean(text, WORDS)
        if near or not text:
            refuse(f"expected on, off or a folder, got {text!r}" + (f": {near} A folder is ./{text}" if near else ""))
    return text


def address(text: str) -> str:
    """Where to listen, e.g. ``127.0.0.1:8080``."""
    _, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > LAST_PORT:
        refuse(f"expected HOST:PORT such as 127.0.0.1:8080, got {text!r}")
    return text


def pause(text: str) -> int:
    """Microseconds that a guest should stand still for at most."""
    from stratavm.runtime.limits import LEAST_PAUSE_US, MOST_PAUSE_US

    if not text.isascii() or not text.isdecimal() or not LEAST_PAUSE_US <= int(text) <= MOST_PAUSE_US:
        refuse(f"expected microseconds from {LEAST_PAUSE_US} to {MOST_PAUSE_US}, such as 300, got {text!r}")
    return int(text)


def heap_size(text: str) -> int:
    """``size`` of a heap, which is not empty."""
    found = size(text)
    if found == 0:
        refuse(f"expected a size from 1 byte on, such as 64M, got {text!r}")
    return found


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isascii() or not text.isdecimal() or not int(text):
        refuse(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = numbers.seconds("it", float(text))
    except ValueError:
        value = 0.0
    if value == 0:
        refuse(f"expected a positive number of seconds, got {text!r}")
    return value


def with_folder(before: list[tuple[str, str, bool]], folder: tuple[str, str, bool]) -> list[tuple[str, str, bool]]:
    """The folders of ``--dir`` and one more: it may be repeated, but not for one place in the guest, for which folder
    it saw would be a matter of its C library.

    Raises:
        ValueError: that place is taken.
    """
    host, guest, _ = folder
    for other, taken, _ in before:
        if normpath(taken) == normpath(guest):
            raise ValueError(f"'{other}' and '{host}' cannot both be at '{guest}' in the guest")
    return [*before, folder]


def directory(text: str) -> tuple[str, str, bool]:
    """(host path, guest path, read-only) from ``HOST[::GUEST]`` and, at its end, ``::ro`` or ``::rw``.

    Without either it is read-only. ``HOST::GUEST:ro``, as it was written before, is understood.
    """
    old = text.endswith(":ro") and text[-4:-3] not in ("", ":")
    host, *rest = (text.removesuffix(":ro") if old else text).split("::")
    if ":" in text.replace("::", ""):
        _refuse_single_colons(text)
    read_only = MODES[rest.pop()] if rest and rest[-1] in MODES else True
    if not host or len(rest) > 1 or rest == [""]:
        refuse(f"expected HOST::GUEST, HOST::GUEST::ro or HOST::GUEST::rw, got {text!r}")
    return host, rest[0] if rest else host, read_only


def _refuse_single_colons(text: str) -> None:
    """Say how ``HOST:GUEST`` is written, unless that is the name of a folder."""
    import re  # for a mistake only

    meant = re.fullmatch(r"(.*[^:])::?([^:]+):(rw)|([^:]+):(/[^:]*)(:ro)?", text)
    if meant and not os.path.exists(text):
        doubled = re.sub(":+", "::", text)
        refuse(f"single colons do not separate, got {text!r}: did you mean {doubled!r}?")


def variable(text: str) -> tuple[str, str]:
    """``NAME=VALUE``, or ``NAME`` for the value that it has here."""
    name, equals, value = text.partition("=")
    if not name:
        refuse(f"expected NAME=VALUE or NAME, got {text!r}")
    if not equals and name not in os.environ:
        refuse(f"{name} is not set here: give it a value with {name}=VALUE")
    return name, value if equals else os.environ[name]
