"""``strata dump``: one stage of the pipeline, for one function, as text."""

from __future__ import annotations

import argparse
import importlib.util

from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.base.words import did_you_mean, some
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.source import module_binary, module_source
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.engine.stages import STAGES, dump_stage, explain_passes
from stratavm.module import model as m
from stratavm.module.needs import decode_anyway
from stratavm.module.printer import disassemble

EXAMPLES: Final = """strata dump -f 12 app.wasm                        the function that errors call func 12
strata dump --stage asm --tier jit1 -f main app.wasm
strata dump --stage opt --explain -f main app.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    parser.add_argument(
        "--stage", choices=tuple(STAGES), default="decode", help="; ".join(f"{k}: {v}" for k, v in STAGES.items())
    )
    parser.add_argument(
        "-f", "--func", metavar="N", required=True,
        help="function index, as in errors and traps (imports count), or the name of a function or an export",
    )  # fmt: skip
    parser.add_argument(
        "--explain", action="store_true",
        help="with --stage opt: which rule or pass did what, where (`strata rules` lists the rules)",
    )  # fmt: skip
    common.add_tier(parser)


def run(options: argparse.Namespace) -> int:
    """Print the stage. Instructions are shown of invalid modules too."""
    if options.explain and options.stage != "opt":
        output.complain(f"--explain is about the passes, not about --stage {options.stage}", "--stage opt --explain")
        return EXIT_USAGE
    if options.stage == "decode":
        model, damage = decode_anyway(module_binary(options.module))
        if damage is not None:
            raise damage
        output.text(disassemble(model, _function(model, options.func)))
        return 0
    module = Module(module_source(options.module), engine=Engine(common.config(options).having(strict=False)))
    index = _function(module.model, options.func)
    output.text(explain_passes(module, index) if options.explain else dump_stage(module, index, options.stage))
    if options.stage == "asm" and importlib.util.find_spec("capstone") is None:
        output.note("bytes only: to see instructions, `pip install 'stratavm[disasm]'` (or capstone)")
    return 0


def _function(model: m.Module, text: str) -> int:
    """The index of a defined function, from its index or its name, as it is or as it is shown.

    Raises:
        ValueError: there is none.
    """
    first, count = len(model.imported_funcs), len(model.func_type_indices)
    names = {i: model.func_name(i) for i in range(count)} if not text.isdecimal() else {}
    exported = {e.index: e.name for e in model.exports if e.kind == "func"} if names else {}
    index = int(text) if text.isdecimal() else _named(text, names, exported)
    if first <= index < count:
        return index
    defined = f"it defines functions {first} to {count - 1}" if first < count else "it defines no function"
    if 0 <= index < first:
        raise ValueError(f"function {index} is the import {model.imported_funcs[index].label}, without code; {defined}")
    if not names:
        raise ValueError(f"the module has no function {text}; {defined}")
    known = [*names.values(), *exported.values()]
    near = did_you_mean(text, known)
    more = near or f"some of them: {some(list(names.values())[first:])}"
    raise ValueError(f"the module has no function '{printable(text)}'; {defined}; {more}")


def _named(text: str, *spaces: dict[int, str]) -> int:
    """The index of a name; -1 where there is none."""
    for space in spaces:
        for index, name in space.items():
            if text in (name, printable(name)):
                return index
    return -1
