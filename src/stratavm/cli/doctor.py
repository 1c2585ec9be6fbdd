"""``strata doctor``: whether Strata works here, and what it found: for who is in doubt, and for reports of faults."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from stratavm import __version__
from stratavm.base import switches
from stratavm.base.forms import Any, Final
from stratavm.base.words import nearest
from stratavm.cli import machine, output
from stratavm.cli import options as common

EXAMPLES: Final = """strata doctor
strata doctor --json > report.json     for a report of a fault: it names no variable but STRATA_..."""

WELL: Final = "works"
PROGRAM: Final = """(module
  (func $sum (export "sum") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "trap") (drop (i32.load (i32.const 65536))))
  (func (export "_start"))
  (memory (export "memory") 1))"""
PACKAGES: Final = (("capstone", "instructions in `strata dump --stage asm`: stratavm[disasm]"),
                   ("numpy", "arrays on a guest's memory"))  # fmt: skip
"""Packages that more can be done with."""
PYTHONS: Final = ((3, 11), (3, 14))
"""From this version on, and before that one."""
TITLES: Final = ("build", "python", "processor", "kernel", "limits", "packages", "cache", "switches", "checks")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print what was found; the exit code is 1 if something does not work."""
    facts = examine()
    if options.json:
        output.emit(facts)
        return int(bool(facts["problems"]))
    for title in TITLES:
        output.line(title, "title")
        output.table((f"  {name}", value, _use(title, name)) for name, value in facts[title].items())
        if not facts[title]:
            output.line("  none")
        output.line()
    for problem in facts["problems"]:
        output.line(problem, "error")
    if not facts["problems"]:
        output.line("no problem found", "good")
    return int(bool(facts["problems"]))


def examine() -> dict[str, Any]:
    """All facts as plain data; ``problems`` are sentences."""
    facts: dict[str, Any] = {
        "build": build(),
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation(),
                   "executable": sys.executable},
        "processor": {"model": machine.processor(), **_extensions()},
        "kernel": {"release": f"{platform.system()} {platform.release()} {platform.machine()}", **machine.features()},
        "limits": machine.limits(),
        "packages": {name: _version(name) for name, _ in PACKAGES},
        "cache": cache(),
        "switches": {name: value for name, value in sorted(os.environ.items()) if name.startswith(switches.PREFIX)},
        "checks": dict(checks()),
    }  # fmt: skip
    return {**facts, "problems": list(problems(facts))}


def build() -> dict[str, str]:
    """Which Strata this is."""
    import stratavm

    found = {"version": __version__, "folder": os.path.dirname(os.path.abspath(stratavm.__file__))}
    try:
        from stratavm._build import stale_modules, variant
    except ModuleNotFoundError:
        return {**found, "kind": "installed"}
    stale = stale_modules()
    state = "not built" if stale is None else f"{len(stale)} modules are stale" if stale else "up to date"
    return {**found, "kind": f"checkout, {variant() or 'no'} build, {state}"}


def cache() -> dict[str, str]:
    """Where machine code is kept between processes, or why it is not."""
    from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders

    if switches.CACHE.value():
        return {"code": "off (STRATA_CACHE=off)"}
    try:
        return {"code": DiskCache(*default_folders()).folder}
    except CacheRefused as refused:
        return {"code": f"not kept: {refused}"}


def checks() -> Iterator[tuple[str, str]]:
    """A small program on every tier and in a process of its own: ``works``, or what went wrong."""
    for tier in ("jit0", "jit1", "oracle"):
        yield tier, _attempt(lambda tier=tier: _on_tier(tier))
    yield "isolate", _attempt(_isolated)


def _attempt(check: Any) -> str:
    try:
        return check() or WELL
    except Exception as error:  # whatever it is, it is what the report is for
        return output.one_line(error)


def _on_tier(tier: Any) -> str:
    """Compiles, calls, and recovers from a fault."""
    import stratavm

    exports = stratavm.load(PROGRAM, tier=tier, strict=tier != "oracle").exports
    found = exports.sum(100)
    try:
        exports.trap()
    except stratavm.Trap:
        return "" if found == 5050 else f"wrong: the sum of 1 to 100 was {found}"
    return "wrong: an access out of bounds was no trap"


def _isolated() -> str:
    """What the kernel cannot do is said by the run."""
    import warnings

    import stratavm

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        done = stratavm.run(PROGRAM, isolate=True, timeout=60)
    if not done.ok:
        return f"{done.reason}: {done.message}"
    return "; ".join(str(warning.message) for warning in told)


def problems(facts: dict[str, Any]) -> Iterator[str]:
    """What should not be so, and what to do about it."""
    if not PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        yield "this version of Python is not supported: use CPython 3.11, 3.12 or 3.13"
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        yield "there is no native tier for this system: Linux on x86-64 has one"
    if "not built" in facts["build"]["kind"] or "stale" in facts["build"]["kind"]:
        yield "this checkout is not built from its present source: run `make build`"
    for name, said in facts["checks"].items():
        if said != WELL:
            yield f"{name}: {said}"
    for name in facts["switches"]:
        yield from _wrong_switch(name)


def _wrong_switch(name: str) -> Iterator[str]:
    known = [known.removeprefix(switches.PREFIX) for known in switches.SWITCHES]
    own = name in switches.SWITCHES or name in switches.OF_THE_BUILD
    near = [] if own else nearest(name.removeprefix(switches.PREFIX), known, most=1)
    if near:  # others may be of a program that uses Strata
        yield f"{name} is set, and no switch: did you mean {switches.PREFIX}{near[0]}?"


def _use(title: str, name: str) -> str:
    """What a fact is good for, where that is not obvious."""
    if title == "kernel" and name in machine.FEATURES:
        return machine.FEATURES[name][0]
    if title == "switches" and name in switches.SWITCHES:
        return switches.SWITCHES[name].meaning
    if (title, name) == ("limits", "helper threads"):
        return "threads that may compile in the background"
    if (title, name) == ("limits", "threads of a program"):
        return "at once besides its first, unless --threads says how many"
    return dict(PACKAGES).get(name, "") if title == "packages" else ""


def _extensions() -> dict[str, str]:
    """Extensions of the processor that the compiler uses."""
    try:
        from stratavm.native.processor import extensions
    except ImportError as error:
        return {"extensions": output.one_line(error)}
    known = extensions()
    return {"extensions": ", ".join(name for name, present in known.items() if present) or "none",
            "missing": ", ".join(name for name, present in known.items() if not present) or "none"}  # fmt: skip


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
