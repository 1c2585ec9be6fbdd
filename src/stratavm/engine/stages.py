"""One stage of the pipeline for one function, as text: what ``strata dump`` shows and golden tests compare."""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.words import counted

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.ir.pipeline import Pipeline
    from stratavm.ir.ssa import Ssa

STAGES: Final[dict[str, str]] = {
    "decode": "instructions as text",
    "valid": "what validation found out about the body",
    "ssa": "the SSA form",
    "opt": "the SSA form after the passes of level 1",
    "minst": "machine instructions over virtual registers",
    "sched": "the same after scheduling (level 1)",
    "ra": "machine instructions after register allocation",
    "asm": "machine code (as instructions where capstone is installed)",
}


def dump_stage(module: Module, index: int, stage: str) -> str:
    """The text of a stage, ending in a line break.

    Args:
        index: function index; imports count, and cannot be dumped.
        stage: a key of ``STAGES``.

    Raises:
        Unsupported: the stage needs a function that the compiler cannot compile.
    """
    text = _PRINTERS[stage](module, index)
    return text if text.endswith("\n") else text + "\n"


def _decode(module: Module, index: int) -> str:
    from stratavm.module.printer import disassemble

    return disassemble(module.model, index)


def _valid(module: Module, index: int) -> str:
    from stratavm.module.validate import find_facts

    defined = index - len(module.model.imported_funcs)
    return repr(find_facts(module.valid)[defined])


def _ssa(module: Module, index: int) -> str:
    from stratavm.front.wasm.front import WasmFront
    from stratavm.ir.ssa import Ssa
    from stratavm.ir.text import print_ssa

    ssa = Ssa()
    front = WasmFront(module.valid, module.engine.config.fuel)
    front.build(index - len(module.model.imported_funcs), ssa)
    return print_ssa(ssa)


def _level_1(module: Module, index: int) -> tuple[Pipeline, Ssa]:
    """The passes of level 1, and the function as they find it."""
    from stratavm.ir.pipeline import LEVELS
    from stratavm.ir.ssa import Ssa
    from stratavm.native.compile import Options, wasm_compiler

    ssa, config = Ssa(), module.engine.config
    options = Options(config.memory_plan, passes=config.ssa_passes or LEVELS[1], fuel=config.fuel)
    compiler = wasm_compiler(module.valid, options)
    compiler.front.build(index - len(module.model.imported_funcs), ssa)
    return compiler.pipeline(), ssa


def _opt(module: Module, index: int) -> str:
    from stratavm.ir.ssa import Ssa
    from stratavm.ir.text import print_ssa

    pipeline, ssa = _level_1(module, index)
    out = Ssa()
    pipeline.run(ssa, out)
    return print_ssa(out)


def explain_passes(module: Module, index: int) -> str:
    """What the passes of level 1 do to a function, a line each: byte offset in the module, rule or pass, and the node
    as it was before that pass. The rules are in ``stratavm.ir.passes``; ``strata rules`` lists them.

    Args:
        index: function index; imports count.

    Raises:
        Unsupported: the compiler cannot compile the function.
    """
    pipeline, ssa = _level_1(module, index)
    steps = list(pipeline.explain(ssa))
    lines = [f"func {index}: {counted(len(steps), 'rewrite')}"]
    start = module.model.body_start
    lines += [f"{start(func) + at:#8x}  {name:24} {node}" for name, (func, at), node in steps]
    return "\n".join(lines) + "\n"


def _machine(stage: str) -> Callable[[Module, int], str]:
    def show(module: Module, index: int) -> str:
        from stratavm.native.compile import dump_machine

        config = module.engine.config
        defined = index - len(module.model.imported_funcs)
        return dump_machine(
            module.valid,
            defined,
            stage,
            allocator=config.register_allocator,
            memory_plan=config.memory_plan,
            passes=config.ssa_passes,
            machine=config.codegen_passes,
            fuel=config.fuel,
        )

    return show


_PRINTERS: Final[dict[str, Callable[[Module, int], str]]] = {
    "decode": _decode,
    "valid": _valid,
    "ssa": _ssa,
    "opt": _opt,
    "minst": _machine("minst"),
    "sched": _machine("sched"),
    "ra": _machine("ra"),
    "asm": _machine("asm"),
}
