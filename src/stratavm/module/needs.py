"""Which proposals a module needs, also those that Strata does not have. For tools: it validates several times."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.errors import DecodeError, ModuleError
from stratavm.base.forms import Final
from stratavm.module.decode import decode
from stratavm.module.features import FEATURES, READY, refused_in
from stratavm.module.instructions import read_instructions
from stratavm.module.limits import DEFAULT_LIMITS, Limits
from stratavm.module.model import Module
from stratavm.module.outline import salvage
from stratavm.module.validate import validate

ALL: Final = frozenset(FEATURES)
SCANNED_BYTES: Final = 8 << 20
"""Code that is searched for instructions of proposals which Strata does not have; it takes a second per megabyte."""


def decode_anyway(binary: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Module, ModuleError | None]:
    """A module that may be invalid, use what Strata does not have, or be damaged: what can be read, and the damage.

    Raises:
        DecodeError: it is no module at all.
    """
    try:
        return decode(binary, features=ALL, limits=limits), None
    except ModuleError as error:
        return salvage(binary, lambda data: decode(data, features=ALL, limits=limits)), error


def proposals(binary: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """Names of the proposals beyond the first version of WebAssembly that a module uses, in the order of their age.

    Of a module that is invalid or damaged, those that could be found until there.
    """
    found = {"mvp"}
    while True:
        try:
            module = decode(binary, features=frozenset(found), limits=limits)
            validate(module, frozenset(found), limits=limits)
            break
        except ModuleError as error:
            name = getattr(error, "feature", "") or refused_in(error.message)
            if name in found or name not in FEATURES:
                found |= _in_bodies(binary, limits) if name else set()
                break
            found.add(name)
            if name not in READY:
                found |= _in_bodies(binary, limits)
    return tuple(name for name in FEATURES if name in found and name != "mvp")


def _in_bodies(binary: bytes, limits: Limits) -> set[str]:
    """Proposals of the instructions, whether Strata has them or not."""
    try:
        module = decode(binary, features=ALL, limits=limits)
    except ModuleError:
        return set()
    return set(_features(module))


def _features(module: Module) -> Iterator[str]:
    """The proposal of each instruction, until the code is no more to be read."""
    seen = 0
    for function in module.functions:
        seen += function.end - function.start
        if seen > SCANNED_BYTES:
            return
        try:
            for instruction in read_instructions(module.binary, function.start, function.end):
                yield instruction.row.feature
        except DecodeError:
            continue
