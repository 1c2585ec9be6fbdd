"""What ``--gc-log``, ``--gc-plot`` and ``--heap-dump`` ask for, at the end of a program."""

from __future__ import annotations

import json
import sys

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.base.words import amount, counted
from stratavm.cli import output
from stratavm.heap.report import log_lines, plot_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stratavm.cli.program import Options
    from stratavm.engine.store import Store
    from stratavm.heap.metrics import GcMetrics

JOURNAL: Final = 1 << 16
"""Pauses and decisions of a heap that are remembered, the last of them."""
NOTE_BESIDE: Final = 5
"""The kind of the note of a full collection in which a thread has helped (``report.DECISIONS``)."""


def tell_of_heap(options: Options, store: Store, name: str) -> int:
    """Say, and write, what was asked for; the exit code where something cannot be written. The guest's own end, which
    may be an error, is reported besides."""
    notes = store.gc_journal() if options.gc_log or options.gc_plot else []
    if options.gc_log:
        with output.whoever_listens():
            _log(notes, store)
    code = output.FAILED if options.gc_log and not output.is_heard() else 0
    return _files(options, store, name, notes) or code


def _files(options: Options, store: Store, name: str, notes: list[tuple[int, ...]]) -> int:
    """Write the plot and the dump; the exit code where one cannot be written."""
    code = 0
    if options.gc_plot:
        if any(kind == 0 for kind, *_ in notes):
            page = plot_page(notes, f"Heap and pauses of {printable(name)}", whole=len(notes) < JOURNAL)
            code = _write("--gc-plot", options.gc_plot, page)
        else:
            output.note("--gc-plot: nothing was collected, so there is nothing to draw")
    if options.heap_dump:
        dump = store.heap_dump()
        text = json.dumps(dump.as_dict(), indent=2) if options.heap_dump.endswith(".json") else str(dump)
        code = _write("--heap-dump", options.heap_dump, text + "\n") or code
    return code


def _log(notes: list[tuple[int, ...]], store: Store) -> None:
    """A line for each note, and sums."""
    if sys.stderr is None:
        return
    for line in log_lines(notes):
        print("gc:", line, file=sys.stderr)
    found = store.gc_metrics()
    if found is None:
        print("gc: the guest made no objects", file=sys.stderr)
        return
    if len(notes) == JOURNAL:
        print(f"gc: these are of the last {JOURNAL} notes", file=sys.stderr)
    for line in _sums(notes, found):
        print("gc:", line, file=sys.stderr)


def _sums(notes: list[tuple[int, ...]], found: GcMetrics) -> Iterator[str]:
    """What the collections were, who looked at all objects in those that went on while the guest ran, and how long it
    stood still."""
    whole = found.collections - found.minors - found.cycles
    yield (
        f"{counted(found.collections, 'collection')}: {found.minors} of new objects only, {found.cycles} of all while "
        f"the guest ran on, {whole} of all in one pause"
    )
    if found.cycles or found.slices:
        helped = sum(kind == NOTE_BESIDE and looked_at > 0 for kind, _, looked_at, *_ in notes)
        at_least = "at least " if len(notes) == JOURNAL else ""
        yield (
            f"those while the guest ran on: {counted(found.slices, 'slice')} on its own thread; in {at_least}{helped} "
            f"of {found.cycles} a thread beside it helped, which looked at {amount(found.concurrent_bytes)}"
        )
    yield (
        f"the guest stood still for {found.stood_ns / 1e6:.3f} ms in all, in the longest pause for "
        f"{found.longest_ns / 1e6:.3f} ms; {amount(found.live_bytes)} live, {amount(found.used_bytes)} in use"
    )


def _write(option: str, path: str, text: str) -> int:
    """Write a file, or leave what is there; the exit code where that cannot be done."""
    from stratavm.aot.files import write_whole

    try:
        write_whole(path, [text.encode()], replace=True)
    except OSError as error:
        output.complain(f"{option} {printable(path)}: {error.strerror}")
        return output.FAILED
    return 0
