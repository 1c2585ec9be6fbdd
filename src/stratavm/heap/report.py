"""What a heap's journal says, for people: lines of text, and a page with a plot. Reads notes; knows no heap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stratavm.base.forms import Final, TypeAlias
from stratavm.base.words import amount, counted

Note: TypeAlias = "tuple[int, ...]"
PARTS: Final = ("roots", "new", "old", "freeing", "holes", "large", "cleaning", "giving")
"""What a pause is spent on, in the order of its note."""
DECISIONS: Final = {
    1: ("nursery", "of {0} B took {1} ns of {2} (given up: {6}), {4} B/us looked at, {5} kept: {3} B"),
    2: ("growth", "{0} B live, {1} B/ms born, {2} B/us looked at, at most {3} B and {4}/1000 of the time: {5} B"),
    3: ("slices", "{0} B left, {1} B/us, {2} ns each, {3} B of runway: {4} B between two"),
    4: ("kept", "{0} B without a look; {1}/1000 lived on, {2} in a row before, {3} words noted"),
    5: (
        "beside",
        "{0} B looked at in {1} ns of a processor, {2} ns on the wall (given up: {5}): {4} more without a thread",
    ),
}
WIDTH: Final = 960
HEIGHT: Final = 240
PAGE: Final = """<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body{{font:14px sans-serif;margin:2em}}svg{{border:1px solid #ccc;display:block;margin:.5em 0 2em}}</style>
<h1>{title}</h1>
<p>{pauses} in {seconds:.3f} s; the longest {longest:.3f} ms of processor time; at most {most}.{missing}</p>
<h2>Heap: blocks in use (line), reachable as far as is known (filled)</h2>
<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<path d="{live}" fill="#9cc" stroke="none"/><path d="{used}" fill="none" stroke="#036"/>{heap_scale}</svg>
<h2>Pauses: processor time</h2>
<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}"><path d="{bars}" stroke="#a33"/>{scale}</svg>
"""
TICKS: Final = 4
"""Lines of a scale, the upper edge included."""
FIRST_PART: Final = 4
"""Of a note's values: the first of those that say what a pause was spent on."""


def part_of(parts: Sequence[int]) -> str:
    """What most of a pause was spent on."""
    return PARTS[max(range(len(PARTS)), key=lambda at: parts[at])]


def log_lines(notes: Iterable[Note], began: int = 0) -> Iterator[str]:
    """A line for each note, with the seconds since ``began`` on its clock, or since the first if that is 0. How long a
    pause was is processor time; what it was spent on, and most of it, is by the clock on the wall, as its line says."""
    for kind, at, *values in notes:
        began = began or at
        if kind:
            name, text = DECISIONS[kind]
            yield f"{(at - began) / 1e9:12.6f} {name:8} {text.format(*values)}"
            continue
        took, wall, used, live = values[:FIRST_PART]
        parts = values[FIRST_PART:]
        spent = ", ".join(f"{name} {ns / 1e3:.0f}" for name, ns in zip(PARTS, parts, strict=False) if ns >= 1000)
        yield (
            f"{(at - began) / 1e9:12.6f} pause    {took / 1e6:.3f} ms of a processor; {amount(used)}, {amount(live)} "
            f"live; {wall / 1e6:.3f} ms on the wall, most of it {part_of(parts)}; us of it: {spent or 'none'}"
        )


def plot_page(notes: Iterable[Note], title: str = "Heap and pauses", *, whole: bool = True) -> str:
    """A page of HTML that needs no network: the heap, and its pauses, over time.

    Args:
        notes: of ``Store.gc_journal``.
        title: its headline.
        whole: whether these are all notes. Else the page says that there were others before.

    Raises:
        ValueError: there is no pause.
    """
    pauses = [note for note in notes if note[0] == 0]
    if not pauses:
        raise ValueError("there is no pause in the journal")
    began = pauses[0][1]
    length = max(pauses[-1][1] - began, 1)
    longest = max(max(note[2] for note in pauses), 1)
    most = max(max(max(note[4], note[5]) for note in pauses), 1)
    xs = [(note[1] - began) * WIDTH / length for note in pauses]

    def line(at: int, top: int) -> str:
        return " ".join(f"L{x:.1f} {HEIGHT - note[at] * HEIGHT / top:.1f}" for x, note in zip(xs, pauses, strict=True))

    bars = (f"M{x:.1f} {HEIGHT}V{HEIGHT - note[2] * HEIGHT / longest:.1f}" for x, note in zip(xs, pauses, strict=True))
    return PAGE.format(
        title=title.replace("&", "&amp;").replace("<", "&lt;"),
        pauses=counted(len(pauses), "pause"),
        seconds=length / 1e9,
        longest=longest / 1e6,
        most=amount(most),
        missing="" if whole else " These are the last that were kept: there were others before.",
        width=WIDTH,
        height=HEIGHT,
        live=f"M0 {HEIGHT} {line(5, most)} L{WIDTH} {HEIGHT}Z",
        used="M" + line(4, most)[1:],
        bars=" ".join(bars),
        heap_scale=_scale([amount(most * at // TICKS) for at in range(1, TICKS + 1)], length),
        scale=_scale([f"{longest * at / TICKS / 1e6:.3f} ms" for at in range(1, TICKS + 1)], length),
    )


def _scale(heights: Sequence[str], length: int) -> str:
    """Lines across a plot, each with its height, and seconds along its lower edge."""
    lines, ticks = list[str](), len(heights)
    for at, shown in enumerate(heights, 1):
        y = HEIGHT - at * HEIGHT / ticks
        lines.append(f'<path d="M0 {y:.1f}H{WIDTH}" stroke="#ddd"/><text x="4" y="{y + 14:.1f}">{shown}</text>')
    for at in range(1, ticks + 1):
        x = at * WIDTH / ticks - 4
        seconds = f"{length * at / ticks / 1e9:.3f} s"
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="end">{seconds}</text>')
    return "".join(lines)
