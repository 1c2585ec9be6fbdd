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
from os.path import abspath, dirname, isfile, join

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    from typing import Any

PACKAGE = dirname(abspath(__file__))
ROOT = dirname(dirname(PACKAGE))
MANIFEST = join(ROOT, "build", "manifest.txt")
PURE: dict[str, str] = {}
"""Modules that are not hot: time and size of their files when they were built, for the import hook."""
TEXT: list[str] = []
"""The manifest when this process imported ``stratavm``, if there was one."""
BEGAN: dict[str, dict[str, tuple[str, ...]]] = {}
"""The same as tables, when somebody has asked for them."""
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


def is_unchanged(path: str, recorded: tuple[str, ...], folder: int | None = None) -> bool:
    """Compare time and size first, the content only where they differ. ``path`` may be relative to an open folder."""
    try:
        stat = os.stat(path, dir_fd=folder)
    except FileNotFoundError:
        return not recorded
    if (str(stat.st_ctime_ns), str(stat.st_size)) == recorded[:2]:
        return True
    return bool(recorded) and record(path if folder is None else join(ROOT, path))[2] == recorded[2]


def read_text() -> str:
    """The manifest as it is written; tables are made of it where somebody wants them: it has five thousand words."""
    file = os.open(MANIFEST, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, os.fstat(file).st_size).decode()
    finally:
        os.close(file)


def read_manifest(text: str | None = None) -> dict[str, dict[str, tuple[str, ...]]]:
    """The manifest, or ``text``, as ``{kind: {name: fields}}``; lines are tab-separated."""
    tables: dict[str, dict[str, tuple[str, ...]]] = {"variant": {}, "module": {}, "file": {}, "pure": {}}
    for line in (read_text() if text is None else text).splitlines():
        kind, name, *fields = line.split("\t")
        tables[kind][name] = tuple(fields)
    return tables


def began() -> dict[str, dict[str, tuple[str, ...]]]:
    """The manifest when this process imported ``stratavm``."""
    if not BEGAN:
        BEGAN.update(read_manifest(TEXT[0] if TEXT else ""))
    return BEGAN


def variant() -> str:
    """How the hot modules were compiled: ``opt``, ``checked`` or ``trace``; empty when nothing was ever built."""
    try:
        return next(iter(read_manifest()["variant"]), "")
    except FileNotFoundError:
        return ""


def begin() -> str | None:
    """The manifest, if there is one; it is noted when the package is imported, and not when that is reloaded."""
    try:
        text = read_text()
    except FileNotFoundError:
        return None
    if not TEXT:
        TEXT.append(text)
    return text


def stale_modules(text: str | None = None, hot: "Any" = None) -> dict[str, str] | None:
    """Module name → the file that makes it stale; None when nothing was ever built for this Python.

    Args:
        text: the manifest, if it was read.
        hot: the shared object, which looks at the files in a third of the time.
    """
    if text is None:
        try:
            text = read_text()
        except FileNotFoundError:
            return None
    head, _, rest = text.partition("\n")
    if set(extension_suffixes()).isdisjoint(head.split("\t")):
        return None
    root = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    changed = set()
    files, _, pure = rest[rest.find("\nfile\t") + 1 :].partition("\npure\t")
    for line in pure.rstrip().split("\npure\t"):
        module, _, PURE[module] = line.partition("\t")
    try:
        for line in files.splitlines() if hot is None else hot.changed(root, files):
            kind, path, *recorded = line.split("\t")
            if kind == "file" and not is_unchanged(path, tuple(recorded), root):
                changed.add(path)
    finally:
        os.close(root)
    if not changed:
        return {}
    modules = read_manifest(text)["module"].items()
    return {
        name: next(path for path in paths if path in changed)
        for name, (_, *paths) in modules
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
        return read_manifest()["module"] != began()["module"]
    except FileNotFoundError:
        return True


def refusal(name: str, file: str) -> str:
    """Why a compiled file must not run for a module that is not stale; empty where it may."""
    if file != one_object()[0] and not _is_of_this_build(name, file):
        return f"{name}: {file} is none of this build: remove it, or {HINT}"
    if is_built_again():
        return f"{name} was built again since this process began: start it anew"
    return ""


def _is_of_this_build(name: str, file: str) -> bool:
    _, *paths = began()["module"].get(name, ("",))
    return file.endswith(extension_suffixes()[0]) and file.removeprefix(f"{ROOT}/") in paths


def one_object() -> tuple[str, ...]:
    """Where the shared object of all hot modules lies and its key, if they were linked into one; else empty words."""
    _, _, suffix, *keys = (TEXT[0] if TEXT else "\t\t").partition("\n")[0].split("\t")
    return (join(PACKAGE, "_hot.modules" + suffix), *keys) if keys else ("", "")


def verify(text: str | None, hot: "Any") -> dict[str, str] | None:
    """Raise ImportError unless every hot module was built from the sources on disk.

    Under ``STRATA_STALE=defer`` it returns ``stale_modules()`` instead, for the import hook.
    """
    stale = stale_modules(text, hot)
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
