"""What the sections of an image are: facts, the code, what says that the binary is valid, what its memory begins with,
and the binary."""

from __future__ import annotations

from collections.abc import Mapping

from stratavm.aot.container import REBUILD, Damaged, Image
from stratavm.base.errors import DecodeError
from stratavm.base.forms import Final
from stratavm.base.text import printable

BINARY: Final = "binary"
FACTS: Final = "facts"
CODE: Final = "code"
SKELETON: Final = "skeleton"
"""Where functions and data segments lie (``module/skeleton.py``): it says that the binary is valid."""
LAYOUT: Final = "layout"
MEMORY: Final = "memory"
"""What the module's memory begins with, as pages that are mapped, and what says where they go
(``engine/keptimage.py``)."""
STATE: Final = "state"
PAGES: Final = "pages"
"""What instances hold from the beginning: sizes, globals and tables, and the pages of memories that are not all zero
(``engine/keptsnapshot.py``)."""
WORLDS: Final = "worlds"
"""What instances have seen of the worlds that their host functions belong to, in the worlds' own form."""
MOST_FACTS: Final = 64


def binary_of(image: Image) -> bytes:
    """The module.

    Raises:
        DecodeError: it is damaged, or not there.
    """
    try:
        return image.section(BINARY)
    except Damaged as error:
        raise DecodeError(f"damaged image: {error}", hint=REBUILD) from None


def facts_of(image: Image) -> dict[str, str]:
    """What the code depends on, by name: of the builder, as ``pack_facts`` wrote it.

    Raises:
        Damaged: they are not what was written.
    """
    try:
        rows = [line.partition("=") for line in image.section(FACTS).decode().splitlines()]
    except UnicodeDecodeError:
        raise Damaged(f"the section {FACTS} is no text") from None
    if len(rows) > MOST_FACTS or not all(equals for _, equals, _ in rows):
        raise Damaged(f"the section {FACTS} is of another form")
    return {name: value for name, _, value in rows}


def name_of(image: Image) -> str:
    """What the module was called when it was built; empty where that is not known."""
    try:
        return facts_of(image).get("name", "")
    except Damaged:
        return ""


def pack_facts(facts: Mapping[str, str]) -> bytes:
    """Facts as a section: a line each."""
    return "".join(f"{name}={' '.join(printable(value).splitlines())}\n" for name, value in facts.items()).encode()


def mismatch(facts: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Why code with these facts does not fit ``here``, what the code of this module's compiler would have; empty where
    it does. Code may do without features that this processor has."""
    if not here:
        return "this engine takes no code of others"
    if facts.get("build") != here["build"]:
        made = printable(facts.get("version", "?"))
        return f"it was built by another build of Strata ({made}; here is {here['version']})"
    lacking = sorted({*facts.get("features", "?").split()} - {*here["features"].split()})
    if lacking:
        return f"its code needs {', '.join(map(printable, lacking))}, which this engine's processor lacks"
    for name in here:
        if name not in ("features", "version", "build") and facts.get(name) != here[name]:
            return difference(name, facts.get(name, "?"), here[name], "engine")
    return ""


def difference(name: str, there: str, here: str, who: str) -> str:
    """Words for a fact of code, ``there``, that is another one ``here``, where ``who`` would take it."""
    if name == "fuel":
        ours = here == "True"
        return f"its code counts {'no ' if ours else ''}fuel, and this {who} does{'' if ours else ' not'}"
    return f"its code has the {name.replace('_', ' ')} {printable(there) or 'none'}, and this {who} {here or 'none'}"
