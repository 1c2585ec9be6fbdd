"""What a long suite has measured, written down part by part: a run that was ended goes on behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.bench.facts import CHANGED, ROOT, commit, machine

FOLDER: Final = ROOT / "build" / "bench"


class Parts:
    """Parts by name, in a file; in none of those a test or a try measures.

    Args:
        path: the file; None: nothing is written down.
        about: what was measured where. Parts of something else are no part of this.
        resume: whether to take what the file has. Without it, or if the file is about something else, it begins anew.
    """

    def __init__(self, path: Path | None = None, about: Mapping[str, Any] | None = None, resume: bool = False) -> None:
        self.path, self.about = path, dict(about or {})
        self.found: dict[str, Any] = {}
        if path and resume:
            self.found = self.kept(path)

    def kept(self, path: Path) -> dict[str, Any]:
        """What the file has; nothing, and why, if that is no part of this run."""
        if not path.exists():
            print(f"  {path.stem}: nothing was measured before", flush=True)
            return {}
        said = json.loads(path.read_text())
        differs = sorted(key for key in {*said["about"], *self.about} if said["about"].get(key) != self.about.get(key))
        if str(self.about.get("commit", "")).endswith(CHANGED):
            differs.append("sources that no commit has")
        if differs:
            print(
                f"  {path.stem}: begins anew, since what was measured before differs in {', '.join(differs)}",
                flush=True,
            )
            return {}
        found: dict[str, Any] = said["parts"]
        print(f"  {path.stem}: {len(found)} parts were measured before", flush=True)
        return found

    def of(self, name: str, measure: Callable[[], Any]) -> Any:
        """A part: what was written down, or what is measured now, and written down before this returns. JSON."""
        if name not in self.found:
            self.found[name] = measure()
            if self.path:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                beside = self.path.with_suffix(".new")
                beside.write_text(json.dumps({"about": self.about, "parts": self.found}, indent=1))
                beside.replace(self.path)
        return self.found[name]


def parts_of(suite: str, resume: bool, **lengths: Any) -> Parts:
    """Of a suite at its full length, here and at this commit."""
    return Parts(FOLDER / f"{suite}.json", {**machine(), "commit": commit(), **lengths}, resume)
