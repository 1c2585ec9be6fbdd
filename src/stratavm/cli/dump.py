"""``strata dump``: one stage of the pipeline, for one function, as text."""

from __future__ import annotations

import argparse

from stratavm.cli import options as common
from stratavm.engine import Engine, Module
from stratavm.engine.stages import STAGES, dump_stage


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("module", metavar="FILE", help="a module, binary or text")
    parser.add_argument(
        "--stage", choices=tuple(STAGES), default="decode", help="; ".join(f"{k}: {v}" for k, v in STAGES.items())
    )
    parser.add_argument("-f", "--func", metavar="N", required=True, help="function index (imports count), or its name")
    common.add_tier(parser)


def run(options: argparse.Namespace) -> int:
    """Print the stage."""
    module = Module(options.module, engine=Engine(common.config(options).having(strict=False)))
    print(dump_stage(module, _function(module, options.func), options.stage), end="")
    return 0


def _function(module: Module, text: str) -> int:
    count = len(module.model.func_type_indices)
    imported = len(module.model.imported_funcs)
    if text.isdigit():
        index = int(text)
    else:
        index = next((i for i in range(count) if module.model.func_name(i) == text), -1)
    if not imported <= index < count:
        raise ValueError(f"no defined function {text!r}; the module defines {imported} to {count - 1}")
    return index
