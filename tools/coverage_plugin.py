"""Cython's coverage plugin, made to know inline functions of every ``.pxd``.

The original finds a ``.pxd`` only after it has happened to parse a C file that includes it, and then
knows just the functions which that one module uses. This one reads all C files of the trace build
first and joins what they say of each source. It traces nothing: compiled lines mark themselves (``tools/marks.py``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from Cython import Coverage

UntypedPlugin: Any = Coverage.Plugin
original_search: Any = Coverage._find_dep_file_path
SRC = Path(__file__).resolve().parents[1] / "src"


def find_source(c_file: str, name: str, relative_path_search: bool = False) -> str:
    """Names in our C files are relative to ``src``; Cython's search takes them for the module's own ``.pxd``."""
    path = SRC / name
    return str(path) if path.is_file() else str(original_search(c_file, name, relative_path_search))


Coverage._find_dep_file_path = find_source


class WholeTreePlugin(UntypedPlugin):  # type: ignore[misc]
    """Answers for all sources of the checkout."""

    _read_everything = False

    def file_tracer(self, filename: str) -> None:
        """Whatever calls Python's trace function is Python."""

    def file_reporter(self, filename: str) -> Any:
        """What the C files together know of a source."""
        self.read_everything()
        return super().file_reporter(filename)

    def read_everything(self) -> None:
        """Parse each C file once; executable lines of a source are the union over all of them."""
        if self._read_everything:
            return
        self._read_everything = True
        for c_file in sorted(SRC.rglob("*.c")):
            known = dict(self._c_files_map or {})
            self._read_source_lines(str(c_file), "")
            for path, (_, _, lines) in known.items():
                now = self._c_files_map[path][2]
                if now is not lines:
                    now.update(lines)


def coverage_init(registry: Any, options: Any) -> None:
    """Called by coverage.py."""
    registry.add_file_tracer(WholeTreePlugin())
