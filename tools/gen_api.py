"""Write the public API, one line for each name, so that a change of it shows in review.

Public is what ``stratavm._EXPORTS`` names, and the public members of those classes. Signatures are read
from the source: nothing has to be built.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import griffe

import stratavm
from tools import gen
from tools.griffe_data import CFunctions, DataClasses, Inherited, Refused

SNAPSHOT = "tests/arch/_gen_public_api.txt"
SRC = Path(gen.ROOT) / "src"


def signature(function: griffe.Function) -> str:
    """Parameters as written; annotations as far as the source has them."""
    parts = []
    for p in function.parameters:
        kind = p.kind.value if p.kind else ""
        stars = "**" if "variadic key" in kind else "*" if "variadic" in kind else ""
        text = f"{stars}{p.name}" + (f": {p.annotation}" if p.annotation else "")
        parts.append(text + (f" = {p.default}" if p.default and not stars else ""))
    returns = f" -> {function.returns}" if function.returns else ""
    return f"({', '.join(parts)}){returns}"


def lines(name: str, item: griffe.Object | griffe.Alias) -> Iterator[str]:
    """The lines of a public object and its public members."""
    if item.is_function:
        yield f"{name}{signature(item)}"  # type: ignore[arg-type]
    elif item.is_class:
        yield f"class {name}({', '.join(str(b) for b in item.bases)})"  # type: ignore[union-attr]
        for member in item.members.values():
            if not member.name.startswith("_") or member.name in ("__init__", "__call__"):
                yield from lines(f"{name}.{member.name}", member)
    else:
        annotation = getattr(item, "annotation", None)
        yield name + (f": {annotation}" if annotation else "")


def find(package: griffe.Object, place: str) -> griffe.Object | None:
    """The object behind a dotted place, through re-exports; None where the source is not there."""
    try:
        item: griffe.Object | griffe.Alias = package[place.removeprefix("stratavm.")]
        return item.final_target if isinstance(item, griffe.Alias) else item
    except (KeyError, griffe.AliasResolutionError):
        return None


def read(src: Path = SRC) -> griffe.Object:
    """The package as its documentation shows it."""
    extensions = griffe.load_extensions(DataClasses(), CFunctions(), Refused(), Inherited())
    package = griffe.load("stratavm", search_paths=[src], allow_inspection=False, extensions=extensions)
    assert isinstance(package, griffe.Object)
    return package


def main() -> None:
    """Write the snapshot."""
    package = read()
    found: list[str] = []
    for name, place in sorted(stratavm._EXPORTS.items()):
        item = find(package, place)
        found += lines(f"stratavm.{name}", item) if item else [f"stratavm.{name}: missing"]
    gen.write(SNAPSHOT, "\n".join(found) + "\n")
