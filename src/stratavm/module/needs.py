"""Which proposals a module needs, whoever switched them off. For tools: it validates several times."""

from __future__ import annotations

from stratavm.base.errors import ModuleError
from stratavm.module.decode import decode
from stratavm.module.features import ALL, FEATURES, refused_in
from stratavm.module.limits import DEFAULT_LIMITS, Limits
from stratavm.module.model import Module
from stratavm.module.outline import salvage
from stratavm.module.validate import validate


def decode_anyway(binary: bytes, limits: Limits = DEFAULT_LIMITS) -> tuple[Module, ModuleError | None]:
    """A module that may be invalid or damaged: what can be read, and the damage.

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
                break
            found.add(name)
    return tuple(name for name in FEATURES if name in found and name != "mvp")
