"""Acceptance: runs the command of every row marked met, and writes docs/acceptance.md.

``acceptance.toml`` is the source. The exit status is non-zero if a row marked met no longer holds,
or if a row makes a claim without a command to prove it. ``--write`` only writes the page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATUSES = ("met", "missed", "in progress", "not started")
HEADER = """# Acceptance

Every requirement with its meaning, what it is measured against, and where it stands. Written by `make accept` from
`acceptance.toml`; a row marked *met* has a command, which must still succeed for that target to succeed.

| id | requirement | meaning and measure | baseline | status | result | command |
|---|---|---|---|---|---|---|
"""

Row = dict[str, str]


def load() -> dict[str, Row]:
    """All rows by their id, checked for consistency."""
    rows: dict[str, Row] = tomllib.loads((ROOT / "acceptance.toml").read_text())
    for name, row in rows.items():
        if row["status"] not in STATUSES:
            raise SystemExit(f"{name}: status {row['status']!r}, expected one of {STATUSES}")
        if row["status"] == "met" and not (row.get("command") and row.get("result")):
            raise SystemExit(f"{name}: a row marked met needs a command, a result and a date")
    return rows


def holds(row: Row) -> bool:
    """Whether the row's command still succeeds."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(row["command"], shell=True, cwd=ROOT, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    if done.returncode:
        print(done.stdout[-3000:])
    return done.returncode == 0


def cell(text: str) -> str:
    """Text that cannot end a table cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def page(rows: dict[str, Row]) -> str:
    """The table as Markdown."""
    lines = []
    for name, row in rows.items():
        result = row.get("result", "") + (f" ({row['date']})" if "date" in row else "")
        command = f"`{row['command']}`" if row.get("command") else ""
        cells = (name, row["requirement"], row["meaning"], row["baseline"], row["status"])
        lines.append("| " + " | ".join(cell(c) for c in (*cells, result, command)) + " |")
    counts = ", ".join(f"{sum(r['status'] == s for r in rows.values())} {s}" for s in STATUSES)
    return HEADER + "\n".join(lines) + f"\n\n{len(rows)} rows: {counts}.\n"


def main(arguments: list[str]) -> int:
    """Write the page; run the commands unless told not to."""
    rows = load()
    (ROOT / "docs/acceptance.md").write_text(page(rows))
    if "--write" in arguments:
        return 0
    broken = []
    for name, row in rows.items():
        if row["status"] == "met" and (not arguments or name in arguments):
            print(f"{name}: {row['command']}", flush=True)
            if not holds(row):
                broken.append(name)
                print(f"{name}: marked met, but no longer holds")
    print(f"acceptance: {len(rows)} rows, {len(broken)} broken" + "".join(f" {n}" for n in broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
