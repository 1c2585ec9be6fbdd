"""``strata cache``: the machine code that is kept on disk, and what can be done with it."""

from __future__ import annotations

import argparse
import errno
import os
import time

from stratavm.base import switches
from stratavm.base.forms import Any, Final
from stratavm.base.text import printable
from stratavm.base.words import counted
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.services.diskcache import DiskCache, default_folders

EXAMPLES: Final = """strata cache ls
strata cache verify          read all entries; what is damaged or another's goes
strata cache clear
STRATA_CACHE=off strata app.wasm     keep nothing, and use nothing"""
ACTIONS: Final = ("ls", "clear", "verify")
EXIT_DAMAGED: Final = 1
NOT_RIGHT: Final = "damaged, or another's (`strata cache verify` removes it)"
SHOWN: Final = 16
"""Digits of a key that tell it apart."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action", choices=ACTIONS, metavar="ACTION", help="ls lists, verify reads all, clear removes all"
    )
    parser.add_argument("--folder", metavar="DIR", help="the directory of `Config(cache=DIR)` instead of the user's")
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Do it; returns 1 where ``verify`` found something that was not right."""
    folder, key_folder = default_folders()
    if options.folder is not None and not os.path.isdir(options.folder):
        if os.path.lexists(options.folder):
            raise NotADirectoryError(errno.ENOTDIR, "it is no folder", options.folder)
        raise FileNotFoundError(errno.ENOENT, "no such folder", options.folder)
    cache = DiskCache(options.folder or folder, key_folder)
    return {"ls": _list, "clear": _clear, "verify": _verify}[options.action](cache, options.json)


def _list(cache: DiskCache, json: bool) -> int:
    """Where it is, whether it is used, and what lies in it; of entries that are not right it is not known."""
    entries = cache.entries()
    total = sum(entry.size for entry in entries)
    labels = [_label(cache, entry.key) for entry in entries]
    if json:
        rows: list[dict[str, Any]] = [
            {"key": e.key, "bytes": e.size, "used": e.used, "of": label}
            for e, label in zip(entries, labels, strict=True)
        ]
        output.emit({"folder": cache.folder, "on": not switches.CACHE.value(), "bytes": total, "entries": rows})
        return 0
    if entries:
        output.text(f"{'key':{SHOWN}}  {'bytes':>12}  {'last used':19}  of\n")
    for entry, label in zip(entries, labels, strict=True):
        used = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.used))
        of = NOT_RIGHT if label is None else printable(label)
        output.text(f"{printable(entry.key)[:SHOWN]:{SHOWN}}  {entry.size:12,}  {used}  {of}\n")
    off = " (STRATA_CACHE=off: not used)" if switches.CACHE.value() else ""
    output.text(f"{counted(len(entries), 'entry', 'entries')}, {total:,} bytes of at most {cache.most_bytes:,}")
    output.text(f", in {cache.folder}{off}\n")
    return 0


def _label(cache: DiskCache, name: str) -> str | None:
    """What an entry is of, as it says under the mark of this user's key; None where it has no right mark."""
    try:
        return cache.label(bytes.fromhex(name))
    except ValueError:
        return None


def _clear(cache: DiskCache, json: bool) -> int:
    """Remove all."""
    gone = cache.clear()
    if json:
        output.emit({"folder": cache.folder, "removed": gone})
    else:
        output.text(f"{counted(gone, 'entry', 'entries')} removed\n")
    return 0


def _verify(cache: DiskCache, json: bool) -> int:
    """Read all."""
    count = len(cache.entries())
    wrong = cache.verify()
    if json:
        output.emit({"folder": cache.folder, "entries": count, "removed": [{"key": k, "reason": w} for k, w in wrong]})
    else:
        for key, why in wrong:
            output.text(f"{key[:SHOWN]}  removed: {why}\n")
        output.text(f"right: {count - len(wrong)} of {counted(count, 'entry', 'entries')}\n")
    return EXIT_DAMAGED if wrong else 0
