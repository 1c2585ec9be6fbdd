"""Proposals that Strata has, a row for each. A module may use a set of these; a refusal says what to do about it."""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """A proposal.

    Attributes:
        since: the core version that adopted it.
        emitted_by: which compilers use it, and which of their options make them.
        avoid: how to build a module without it.
        asked: whether a configuration has it only where it names it.
    """

    name: str
    since: str
    doc: str
    emitted_by: str = ""
    avoid: str = ""
    asked: bool = False


FEATURES: Final[dict[str, Feature]] = {
    f.name: f
    for f in (
        Feature("mvp", "1.0", "the first version"),
        Feature("mutable-globals", "1.1", "import and export of mutable globals"),
        Feature("sign-extension", "2.0", "i32.extend8_s and its kin"),
        Feature("saturating-float-to-int", "2.0", "trunc_sat"),
        Feature("multi-value", "2.0", "several results, block parameters"),
        Feature("reference-types", "2.0", "funcref, externref, several tables, table.get …"),
        Feature("bulk-memory", "2.0", "memory.copy, memory.fill, passive segments"),
        Feature(
            "simd", "2.0", "v128",
            "clang and emscripten with -msimd128; rustc with -C target-feature=+simd128; asc --enable simd; .NET",
            "leave that option out: clang and rustc do not set it; .NET: <WasmEnableSIMD>false</WasmEnableSIMD>",
        ),
        Feature("extended-const", "3.0", "add, sub, mul in constant expressions"),
        Feature(
            "tail-call", "3.0", "return_call",
            "clang with -mtail-call; rustc with -C target-feature=+tail-call; compilers of functional languages",
            "clang: -mno-tail-call, and no __attribute__((musttail)); rustc: leave +tail-call out",
        ),
        Feature("function-references", "3.0", "typed function references, call_ref, locals without a default"),
        Feature(
            "gc", "3.0", "structs, arrays, i31",
            "MoonBit, Kotlin for WASI and other languages whose objects the engine collects",
            "none of these can do without; clang, rustc, Zig and AssemblyScript bring a heap of their own",
        ),
        Feature(
            "exceptions", "3.0", "tags, try_table, throw",
            "clang and emscripten with -fwasm-exceptions; setjmp in C with -mllvm -wasm-enable-sjlj; Kotlin for WASI",
            "C++: -fno-exceptions (emscripten's -fexceptions needs JavaScript); Rust: panic=abort; C: no setjmp",
        ),
        Feature("multi-memory", "3.0", "several memories"),
        Feature(
            "memory64", "3.0", "64-bit addresses",
            "clang --target=wasm64; emscripten -sMEMORY64; rustc --target wasm64-unknown-unknown",
            "build for the wasm32 target of the same name",
        ),
        Feature(
            "relaxed-simd", "3.0", "vector instructions of which an engine chooses the meaning",
            "clang and emscripten with -mrelaxed-simd; rustc with -C target-feature=+relaxed-simd",
            "leave that option out",
        ),
        Feature(
            "threads", "4.0", "memories that threads share",
            "clang and emscripten with -pthread; rustc for wasm32-wasip1-threads; asc --enable threads",
            "leave -pthread out; Rust: --target wasm32-wasip1",
        ),
        Feature(
            "custom-page-sizes", "4.0", "pages of one byte",
            "text written by hand, and linkers that were asked for another page size",
            "pages of 64 KiB, which are the default",
            asked=True,
        ),
        Feature(
            "wide-arithmetic", "4.0", "128-bit addition and multiplication",
            "clang with -mwide-arithmetic; rustc with -C target-feature=+wide-arithmetic",
            "leave that option out",
        ),
        Feature(
            "legacy-exceptions", "never", "try, rethrow, delegate: the exceptions that came before 3.0",
            "clang and emscripten with -fwasm-exceptions, in most of their versions",
            "C++: -fno-exceptions (emscripten's -fexceptions needs JavaScript); C: no setjmp",
        ),
        Feature(
            "atomics", "4.0", "the atomic instructions of the proposal threads, on memories of one thread",
            "clang with -matomics; rustc with -C target-feature=+atomics",
            "leave that option out",
        ),
        Feature(
            "function-subtypes", "3.0", "recursion groups and subtypes of function types, of the proposal gc",
            "compilers that use the proposal gc", "a module whose function types stand alone needs none of it",
        ),
    )
}  # fmt: skip
ALL: Final[frozenset[str]] = frozenset(FEATURES)
"""What a configuration may name."""
DEFAULT: Final[frozenset[str]] = frozenset(f.name for f in FEATURES.values() if not f.asked)
"""What a module may use where nobody says anything else."""


def refusal(name: str) -> str:
    """Why a proposal is refused, to stand behind what needs it."""
    return f"needs the proposal {name}, which is switched off"


def request(name: str) -> str:
    """That a module needs a proposal which nobody has asked for, and how a command is asked."""
    return f"needs the proposal {name}, which Strata has on request only: --proposal {name}"


def refused_in(message: str) -> str:
    """The proposal that a message of ``refusal`` names; empty where it is about something else."""
    name = message.partition("needs the proposal ")[2].partition(" ")[0].rstrip(",")
    return name if name in FEATURES else ""


def advice(name: str) -> str:
    """What to do about a refused proposal, in lines; empty where nothing is known of it."""
    feature = FEATURES.get(name)
    if feature is None:
        return ""
    if feature.asked:
        called = f"features=Config().features | {{{name!r}}}, of load() or the Engine of a Module that run() is given"
        had = f"on request: {called}; for a command: --proposal {name}"
    else:
        had = f"leave Config.features at its default, or add {name!r} to it"
    return f"{had}\ncomes from: {feature.emitted_by}\ninstead: {feature.avoid}" if feature.avoid else had
