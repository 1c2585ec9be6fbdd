"""What to say of imports that do not fit: all of them at once, with near names and with who wrote the module."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from stratavm.base.errors import LinkError
from stratavm.base.forms import Final, dataclass
from stratavm.base.text import printable
from stratavm.base.words import did_you_mean
from stratavm.module.model import Import
from stratavm.runtime.values import BY_NAME
from stratavm.spec.types import (
    EXTERN,
    FUNC,
    I32,
    REF,
    ExternType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    ValType,
    abstract_of,
    heap,
    is_ref,
    kind,
    ref,
    type_name,
)

LISTED: Final = 40
"""Imports that are listed; a module may have a million."""

WASI: Final = (
    "the guest uses WASI: stratavm.run(source, […]) runs a program, "
    "a library is loaded with load(source, stratavm.Wasi().namespaces())"
)
OBJECT: Final = "this is an object file or a dynamic library: link it, wasm-ld makes a module of it"
BINDGEN: Final = (
    "this needs the JavaScript that wasm-bindgen writes: build without wasm-bindgen, for wasm32-wasip1, "
    'and export with #[no_mangle] extern "C"'
)
GO: Final = 'this needs the JavaScript of Go: build with GOOS=wasip1 GOARCH=wasm, or "tinygo build -target=wasip1"'
EMSCRIPTEN: Final = (
    "this needs the JavaScript that emscripten writes: link with -sSTANDALONE_WASM, and with --no-entry if there is "
    "no main"
)
EMSCRIPTEN_THREADS: Final = (
    "threads of emscripten are begun by its JavaScript: build without -pthread, or by the WASI SDK for "
    "wasm32-wasip1-threads"
)
ASSEMBLYSCRIPT: Final = (
    'AssemblyScript calls env.abort when it gives up: {"env": {"abort": lambda message, file, line, column: None}}, '
    "or compile with `asc --use abort=`"
)
MOONBIT: Final = (
    "MoonBit prints units of UTF-16, one at a time, by a function of the host, which in Python may be: units = [], "
    'imports {"spectest": {"print_char": units.append}}, and what was printed is '
    'b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le")'
)
NO_JS_STRINGS: Final = (
    "there is no JavaScript here: build without them "
    '(MoonBit: "use-js-builtin-string": false, Kotlin: the target wasmWasi)'
)
JS_STRINGS: Final = (
    f"the guest works on strings of JavaScript (js-string builtins), {NO_JS_STRINGS}, or define those that it uses, "
    'since an externref may be a str: {"wasm:js-string": {"length": lambda text: len(text.encode("utf-16-le")) // 2}}'
)

SHORT: Final = 60
"""Characters of a value that is shown as it is written."""
JS_CONSTANT: Final = (GlobalType(ref(EXTERN)), GlobalType(ref(EXTERN, nullable=False)))
"""Types that a string constant may have."""
JS_CONSTANT_MODULES: Final = ("'", "_", "S")
"""What compilers call the module of string constants where they are told no other name: Kotlin, MoonBit and Dart."""
JS_CONSTANTS: Final = "a string constant of JavaScript is such a global, whose value is the text that it is named by"

BY_MODULE: Final[dict[str, str]] = {
    "wasi_snapshot_preview1": WASI,
    "wasi_unstable": WASI,
    "wasi": "threads come with `strata run`, stratavm.run and run_async, and by stratavm.wasi.Threads.define(linker)",
    "wbg": BINDGEN,
    "__wbindgen_placeholder__": BINDGEN,
    "__wbindgen_externref_xform__": BINDGEN,
    "gojs": GO,
    "go": GO,
    "wasm:js-string": JS_STRINGS,
    "wasm:text-encoder": JS_STRINGS,
    "wasm:text-decoder": JS_STRINGS,
    "asyncify": "these are for `wasm-opt --asyncify`, which replaces them: run it on the module",
    "GOT.mem": OBJECT,
    "GOT.func": OBJECT,
}
BY_BEGINNING: Final[tuple[tuple[str, str], ...]] = (
    ("wasi:", "this is the core module of a component: build for wasm32-wasip1 instead of wasm32-wasip2"),
    ("__wbindgen", BINDGEN),
)
IN_ENV: Final[tuple[tuple[str, str], ...]] = (
    ("__linear_memory", OBJECT),
    ("__indirect_function_table", OBJECT),
    ("__memory_base", OBJECT),
    ("emscripten_", EMSCRIPTEN),
    ("_emscripten_", EMSCRIPTEN),
    ("__syscall_", EMSCRIPTEN),
    ("__cxa_", EMSCRIPTEN),
    ("__pthread_create_js", EMSCRIPTEN_THREADS),
    ("invoke_", EMSCRIPTEN),
    ("_embind_", EMSCRIPTEN),
)
"""Beginnings of names in ``env`` that tell who wrote the module."""
DEFINE: Final = "define it"
ABORT: Final = FuncType((I32, I32, I32, I32))


@dataclass(frozen=True, slots=True)
class Problem:
    """An import that does not fit: ``unknown`` if nothing is defined for it, ``alien`` if what is defined can never be
    imported; ``text`` says the rest. ``index`` is the import's in ``Module.imports``, ``given`` what is defined."""

    wanted: Import
    text: str
    unknown: bool = False
    index: int = 0
    alien: bool = False
    given: object = None


def link_error(problems: list[Problem], imports: int, defined: Collection[tuple[str, str]]) -> LinkError:
    """The error for imports that do not fit.

    Args:
        problems: in the module's order, one at least.
        imports: how many imports the module has.
        defined: what the linker has, by module and name.
    """
    first = problems[0]
    words = "unknown import" if first.unknown else "incompatible import type"
    texts = {(p.wanted.module, p.wanted.name): p.text for p in problems}
    hint = "\n".join(_hints(problems, defined))
    if len(problems) == 1:
        separator = " " if first.unknown else " for "
        return LinkError(f"{words}{separator}{first.wanted.label}: {first.text}", problems=texts, hint=hint)
    lines = [f"{words}: {len(problems)} of {imports} imports do not fit"]
    groups: dict[str, list[Problem]] = {}
    for problem in problems[:LISTED]:
        groups.setdefault(problem.wanted.module, []).append(problem)
    for module, group in groups.items():
        lines.append(f"  module {printable(module) or '(no name)'}")
        lines += [f"    {printable(p.wanted.name)}: {p.text}" for p in group]
    if len(problems) > LISTED:
        lines.append(f"  and {len(problems) - LISTED} more")
    return LinkError("\n".join(lines), problems=texts, hint=hint)


def _hints(problems: list[Problem], defined: Collection[tuple[str, str]]) -> Iterator[str]:
    """What to do, each piece of advice once."""
    modules = {module for module, _ in defined}
    on_strings = any(name.startswith("wasm:js-") for name in (*modules, *(p.wanted.module for p in problems)))
    said = set[str]()
    for problem in [p for p in problems if p.unknown or p.alien][:LISTED]:
        wanted, index = problem.wanted, problem.index
        made = _definitions(wanted, index, problem.given)
        advice = made if problem.alien else _hints_for(wanted, index, defined, modules, on_strings)
        for line in advice:
            key = line.partition(":")[0] + wanted.kind if line.startswith(DEFINE) else line
            if key not in said:  # one example of a definition for each kind
                said.add(key)
                yield line


def _hints_for(
    wanted: Import, index: int, defined: Collection[tuple[str, str]], modules: set[str], on_strings: bool
) -> Iterator[str]:
    """What to do about one import that is not defined; ``on_strings``: the module has builtins for JavaScript's."""
    if wanted.module in modules:
        near = did_you_mean(wanted.name, (name for module, name in defined if module == wanted.module))
        if near:
            yield f"{wanted.label}: {near}"
            return
    elif near := did_you_mean(wanted.module, modules):
        yield f"module {printable(wanted.module)}: {near}"
        return
    elsewhere = [module for module, name in defined if name == wanted.name and module != wanted.module]
    if elsewhere:
        yield f"{printable(wanted.name)} is defined, but in module {printable(elsewhere[0])}"
        return
    origin = _origin(wanted) or _constants(wanted, on_strings)
    if origin:
        yield origin
    else:
        yield from _definitions(wanted, index)


def _definitions(wanted: Import, index: int, given: object = None) -> Iterator[str]:
    """How to define something of the kind, and what that is for. ``given``: what somebody meant to be its value."""
    yield _definition(wanted, index, given)
    if wanted.type == JS_CONSTANT[1]:
        yield JS_CONSTANTS


def _origin(wanted: Import) -> str:
    """What is known of those who import this."""
    known = BY_MODULE.get(wanted.module, "")
    if known:
        return known
    for beginning, hint in BY_BEGINNING:
        if wanted.module.startswith(beginning):
            return hint
    if (wanted.module, wanted.name) == ("spectest", "print_char"):
        return MOONBIT
    if wanted.module == "env":
        if wanted.name == "abort" and wanted.type == ABORT:
            return ASSEMBLYSCRIPT
        return next((hint for beginning, hint in IN_ENV if wanted.name.startswith(beginning)), "")
    return ""


def _constants(wanted: Import, on_strings: bool) -> str:
    """What to do about string constants of JavaScript, all that the module has; none if this looks like no such one."""
    named = repr(wanted.module)
    if wanted.type not in JS_CONSTANT or len(named) > SHORT or not (on_strings or wanted.module in JS_CONSTANT_MODULES):
        return ""
    return (
        f"the globals of module {named} look like string constants of JavaScript, {NO_JS_STRINGS}, or define each with "
        f"its name as its value: {{{named}: {{i.name: stratavm.Global.new(store, i.type.value, i.name) "
        f"for i in module.imports if i.module == {named}}}}}"
    )


def _definition(wanted: Import, index: int, given: object) -> str:
    """How to define something of the kind."""
    what = _maker(wanted.type, f"module.imports[{index}].type", given)
    if not (wanted.module + wanted.name).isprintable():
        return f"{DEFINE}: Linker.define(module, name, item); the item is {what}"
    return f'{DEFINE}: {{"{wanted.module}": {{"{wanted.name}": …}}}} as imports; the item is {what}'


def _maker(type_: ExternType, place: str, meant: object) -> str:
    """An expression that makes what fits. Types that have no name in Python are taken from their ``place``."""
    if isinstance(type_, MemoryType):
        page = "" if type_.page_shift == 16 else f", page_size={1 << type_.page_shift}"
        maker = "SharedMemory(engine" if type_.limits.shared else "Memory.new(store"
        return f"stratavm.{maker}, {_sizes(type_.limits)}{page}{_wide(type_.limits)})"
    if isinstance(type_, TableType):
        shown = type_name(type_.element)
        if kind(type_.element) == REF:
            return f"a table of another module: one that Python makes has null elements, which is no {shown}"
        given = f'"{shown}"' if shown in BY_NAME else f"{place}.element"
        return f"stratavm.Table.new(store, {given}, {_sizes(type_.limits)}{_wide(type_.limits)})"
    if isinstance(type_, GlobalType):
        shown = type_name(type_.value)
        given = f'"{shown}"' if shown in BY_NAME else f"{place}.value"
        mutable = ", mutable=True" if type_.mutable else ""
        made = f"stratavm.Global.new(store, {given}, {_example(type_.value, meant)}{mutable})"
        return (
            made
            if isinstance(meant, str)
            else f"{made} where {_said(type_.value)}"
            if kind(type_.value) == REF
            else made
        )
    if isinstance(type_, TagType):
        shown = ", ".join(f'"{type_name(t)}"' for t in type_.type.params)
        return f"stratavm.Tag.new(store, [{shown}])"
    return "any callable"


def _example(type_: ValType, meant: object) -> str:
    """An expression for some value of a type: for what is ``meant``, where it is one and short."""
    fits = type(meant) is str if heap(type_) == EXTERN else type(meant) in (int, float) and not is_ref(type_)
    if fits:
        return repr(meant) if len(repr(meant)) <= SHORT else "value"
    if kind(type_) == REF:
        return "'text'" if heap(type_) == EXTERN else "f" if abstract_of(heap(type_)) == FUNC else "thing"
    return "None" if is_ref(type_) else "0"


def _said(type_: ValType) -> str:
    """What the example for a type that has no null stands for."""
    if heap(type_) == EXTERN:
        return "'text' is any object"
    return "f is a Func of that type" if abstract_of(heap(type_)) == FUNC else "thing is a GuestObject of that type"


def _sizes(limits: Limits) -> str:
    return f"{limits.minimum}" + ("" if limits.maximum is None else f", {limits.maximum}")


def _wide(limits: Limits) -> str:
    return ", is64=True" if limits.is64 else ""
