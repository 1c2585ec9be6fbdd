"""Calling one export from the command line: which one, and what its arguments are. Errors name the argument."""

from __future__ import annotations

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.text import printable
from stratavm.runtime.typenames import named
from stratavm.runtime.values import parse_argument, signature
from stratavm.spec.types import FuncType, names_types, resolved_func

if TYPE_CHECKING:
    from stratavm.engine.module import Module


def parse_call(module: Module, name: str, texts: tuple[str, ...]) -> list[Any]:
    """The arguments for an exported function as values, before anything of the module runs.

    Raises:
        LinkError: there is no such function.
        ValueError: they are too many or too few, or one cannot be read as its type.
    """
    type_ = find_function(module, name)
    if len(texts) != len(type_.params):
        wanted = f"{len(type_.params)} argument{'s' * (len(type_.params) != 1)}"
        whose = named(signature(name, type_), None, module.blueprint)
        raise ValueError(f"{whose} takes {wanted}, got {len(texts)}")
    values = []
    for number, (param, text) in enumerate(zip(type_.params, texts, strict=True), 1):
        try:
            values.append(parse_argument(param, text))
        except (ValueError, OverflowError) as error:
            said = named(str(error), None, module.blueprint)
            raise ValueError(f"argument {number} of {printable(name)}: {said}") from None
    return values


def find_function(module: Module, name: str) -> FuncType:
    """The type of an exported function.

    Raises:
        LinkError: there is none; it names those that are near.
    """
    kind, index = module.export_index.get(name, ("", 0))
    if kind == "func":
        type_ = module.model.func_type(index)
        return resolved_func(type_, module.blueprint.ids) if names_types(type_) else type_
    from stratavm.base.words import did_you_mean, some

    functions = [n for n, (k, _) in module.export_index.items() if k == "func"]
    what = f"no function '{printable(name)}'" + (f": it is a {kind}" if kind else "")
    raise LinkError(f"the module exports {what}; functions: {some(functions)}", hint=did_you_mean(name, functions))
