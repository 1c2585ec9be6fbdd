"""The stale-build guard of a source checkout; wheels are shipped without this file.

A compiled module bakes in the struct layouts of every ``.pxd`` it cimports, so running one that is
older than its sources is memory corruption. ``make build`` leaves a manifest of all the sources
(time, size, hash) behind each ``.so``; importing ``stratavm`` compares it with the disk. What is built under a running
process is refused, too: modules that it has loaded know other layouts.

``STRATA_STALE=defer`` (set for generators, which must run before a build) lets ``stratavm`` be
imported; its import hook refuses the stale modules one by one instead.
"""

import os
import sys
from _imp import extension_suffixes
from os.path import abspath, basename, dirname, isfile, join

PACKAGE = dirname(abspath(__file__))
ROOT = dirname(dirname(PACKAGE))
MANIFEST = join(ROOT, "build", "manifest.txt")
COMMANDS = ("strata", "stratavm")
BEGAN: dict[str, dict[str, tuple[str, ...]]] = {}
"""The manifest's variant and modules when this process imported ``stratavm``."""
HINT = "run `make build` (STRATA_BUILD=checked for the checked variant)"


def record(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """What the manifest keeps of a file: time, size, hash; empty where there is none.

    The time is that of the last change of whatever kind, which no tool sets back.
    """
    from hashlib import blake2b

    if not isfile(path):
        return ()
    stat = os.stat(path)
    with open(path, "rb") as file:
        content = blake2b(file.read(), digest_size=16).hexdigest()
    return str(stat.st_ctime_ns), str(stat.st_size), content


def is_unchanged(path: str, recorded: tuple[str, ...]) -> bool:
    """Compare time and size first, the content only where they differ."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return not recorded
    if (str(stat.st_ctime_ns), str(stat.st_size)) == recorded[:2]:
        return True
    return bool(recorded) and record(path)[2] == recorded[2]


def read_manifest() -> dict[str, dict[str, tuple[str, ...]]]:
    """The manifest as ``{kind: {name: fields}}``; lines are tab-separated."""
    tables: dict[str, dict[str, tuple[str, ...]]] = {"variant": {}, "module": {}, "file": {}}
    with open(MANIFEST) as file:
        for line in file:
            kind, name, *fields = line.rstrip("\n").split("\t")
            tables[kind][name] = tuple(fields)
    return tables


def variant() -> str:
    """How the hot modules were compiled: ``opt``, ``checked`` or ``trace``; empty when nothing was ever built."""
    try:
        return next(iter(read_manifest()["variant"]), "")
    except FileNotFoundError:
        return ""


def stale_modules() -> dict[str, str] | None:
    """Module name → the file that makes it stale; None when nothing was ever built for this Python."""
    try:
        tables = read_manifest()
    except FileNotFoundError:
        return None
    if not BEGAN:  # else the package was imported before, and reloaded
        BEGAN.update(variant=tables["variant"], module=tables["module"])
    if set(extension_suffixes()).isdisjoint(*tables["variant"].values()):
        return None
    files = tables["file"].items()
    changed = {path for path, recorded in files if not is_unchanged(join(ROOT, path), recorded)}
    return {
        name: next(path for path in paths if path in changed)
        for name, (_, *paths) in tables["module"].items()
        if not changed.isdisjoint(paths)
    }


def stamp() -> tuple[int, int]:
    """What tells one manifest from the next; zeros where there is none."""
    try:
        stat = os.stat(MANIFEST)
    except FileNotFoundError:
        return 0, 0
    return stat.st_ino, stat.st_mtime_ns


STAMP = stamp()


def is_built_again() -> bool:
    """Whether a module was compiled anew since this process imported ``stratavm``, or is about to be."""
    if stamp() == STAMP:
        return False
    try:
        return read_manifest()["module"] != BEGAN["module"]
    except FileNotFoundError:
        return True


def refusal(name: str, file: str) -> str:
    """Why a compiled file must not run for a module that is not stale; empty where it may."""
    _, *paths = BEGAN["module"].get(name, ("",))
    if not file.endswith(extension_suffixes()[0]) or file.removeprefix(f"{ROOT}/") not in paths:
        return f"{name}: {file} is none of this build: remove it, or {HINT}"
    if is_built_again():
        return f"{name} was built again since this process began: start it anew"
    return ""


def one_object() -> tuple[str, str]:
    """Where the shared object of all hot modules lies and its key, if they were linked into one; else empty words."""
    for suffix, *keys in BEGAN.get("variant", {}).values():
        for key in keys:
            return join(PACKAGE, "_hot.modules" + suffix), key
    return "", ""


def verify() -> dict[str, str] | None:
    """Raise ImportError unless every hot module was built from the sources on disk.

    It takes most of the time before the command can say itself what it does about Ctrl-C. Under ``STRATA_STALE=defer``
    it returns ``stale_modules()`` instead, for the import hook.
    """
    try:
        stale = stale_modules()
    except KeyboardInterrupt:
        if sys.argv[0] != "-m" and basename(sys.argv[0]) not in COMMANDS:
            raise
        os.write(2, b"strata: interrupted\n")
        os._exit(130)
    if stale == {} or os.environ.get("STRATA_STALE") == "defer":
        return stale
    if stale is None:
        version = ".".join(map(str, sys.version_info[:2]))
        raise ImportError(f"this source checkout of stratavm was never built for Python {version}: {HINT}")
    name, path = next(iter(stale.items()))
    raise ImportError(
        f"{len(stale)} compiled module(s) of stratavm are stale, "
        f"first {name} ({path} changed since it was built): {HINT}"
    )
