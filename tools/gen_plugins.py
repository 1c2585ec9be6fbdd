"""Write docs/reference/plugins.md: the states of a plugin's life and its edges, as a diagram and a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from stratavm.plugins.states import MOVES, State, Timeouts
from tools import gen

PAGE: Final = "docs/reference/plugins.md"
WIDE: Final = 14
HEAD: Final = """# The life of a plugin

Written by `make gen` from the table of edges. How to use it: [Load, limit and unload
plugins](../how-to/plugin-life.md); why it is so: [ADR-0066](../adr/0066-plugins.md).

"""
BEHIND: Final = """
* Each edge is one step: its guard is asked, its action runs within its time (`Timeouts`), then the state changes and
  the event is said. Where one of them fails, what the action had made is closed, and the plugin is where it was; that
  is the event `EdgeRefused`. While a plugin is loaded or called, `fail` follows.
* `suspend` is the time that calls under way have to end; `stop` is the time for the plugin to clean up.
"""


def arrows() -> Iterator[str]:
    """A row for each state: what leads away from it."""
    for state in State:
        leads = [f"─{move.name}→ {move.target.value}" for move in MOVES if state in move.sources]
        yield f"{state.value:{WIDE}}" + "  ".join(leads or ["(the end)"])


def rows() -> Iterator[str]:
    """A row for each edge."""
    times = Timeouts()
    for move in MOVES:
        sources = ", ".join(state.value for state in move.sources)
        most = times.of(move.name)
        seconds = "–" if most is None else f"{most:g}"
        yield f"| `{move.name}` | {sources} | {move.target.value} | `{move.event}` | {seconds} | {move.means} |"


def main() -> None:
    """Write the page."""
    diagram = "\n".join(arrows())
    table = "\n".join(["| edge | from | to | event | seconds | then |", "|---|---|---|---|---:|---|", *rows()])
    gen.write(PAGE, f"{HEAD}```text\n{diagram}\n```\n\n{table}\n{BEHIND}")
