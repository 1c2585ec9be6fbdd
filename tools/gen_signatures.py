"""Write the signatures of compiled classes, which Cython does not keep, from their stubs: what ``inspect`` shows."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from tools import gen

FOLDERS = ("src/stratavm/engine", "src/stratavm/runtime")
HEAD = '''"""Signatures of compiled classes by name, from their ``.pyi`` files; made by `make gen`."""

from stratavm.base.forms import Final

SIGNATURES: Final[dict[str, str]] = {
'''


def constructors() -> Iterator[tuple[str, str]]:
    """Name and signature of each class in a stub that has a constructor."""
    for path in sorted(path for folder in FOLDERS for path in (gen.ROOT / folder).glob("*.pyi")):
        for item in ast.parse(path.read_text()).body:
            if not isinstance(item, ast.ClassDef):
                continue
            for method in item.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    method.args.args.pop(0)
                    yield item.name, f"({ast.unparse(method.args)})"


def main() -> None:
    """Write the table."""
    rows = "".join(f"    {json.dumps(name)}: {json.dumps(text)},\n" for name, text in constructors())
    gen.write(f"{FOLDERS[-1]}/_gen_signatures.py", f"{HEAD}{rows}}}\n")
