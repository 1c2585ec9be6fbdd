"""Proposals: one row each. What a module may use is a set of these; a refusal says what to do about it."""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """A proposal.

    Attributes:
        since: the core version that adopted it.
        ready: whether Strata has it.
        interpreted: whether a configuration that names it has it, even where it is not ready: parts of it are done by
            the interpreter, in the midst of machine code, too.
        emitted_by: which compilers use it, and which of their options make them.
        avoid: how to build a module without it.
        asked: whether a configuration has it only where it names it.
    """

    name: str
    since: str
    ready: bool
    doc: str
    emitted_by: str = ""
    avoid: str = ""
    asked: bool = False
    interpreted: bool = False


FEATURES: Final[dict[str, Feature]] = {
    f.name: f
    for f in (
        Feature("mvp", "1.0", True, "the first version"),
        Feature("mutable-globals", "1.1", True, "import and export of mutable globals"),
        Feature("sign-extension", "2.0", True, "i32.extend8_s and its kin"),
        Feature("saturating-float-to-int", "2.0", True, "trunc_sat"),
        Feature("multi-value", "2.0", True, "several results, block parameters"),
        Feature("reference-types", "2.0", True, "funcref, externref, several tables, table.get …"),
        Feature("bulk-memory", "2.0", True, "memory.copy, memory.fill, passive segments"),
        Feature(
            "simd", "2.0", True, "v128",
            "clang and emscripten with -msimd128; rustc with -C target-feature=+simd128; asc --enable simd; .NET",
            "leave that option out: clang and rustc do not set it; .NET: <WasmEnableSIMD>false</WasmEnableSIMD>",
            interpreted=True,
        ),
        Feature("extended-const", "3.0", True, "add, sub, mul in constant expressions"),
        Feature(
            "tail-call", "3.0", True, "return_call",
            "clang with -mtail-call; rustc with -C target-feature=+tail-call; compilers of functional languages",
            "clang: -mno-tail-call, and no __attribute__((musttail)); rustc: leave +tail-call out",
        ),
        Feature("function-references", "3.0", True, "typed function references, call_ref, locals without a default"),
        Feature(
            "gc", "3.0", False, "structs, arrays, i31",
            "MoonBit, Kotlin for WASI and other languages whose objects the engine collects",
            "none of these can do without; clang, rustc, Zig and AssemblyScript bring a heap of their own",
            interpreted=True,
        ),
        Feature(
            "exceptions", "3.0", True, "tags, try_table, throw",
            "clang and emscripten with -fwasm-exceptions; setjmp in C with -mllvm -wasm-enable-sjlj; Kotlin for WASI",
            "C++: -fno-exceptions (emscripten's -fexceptions needs JavaScript); Rust: panic=abort; C: no setjmp",
            interpreted=True,
        ),
        Feature("multi-memory", "3.0", True, "several memories"),
        Feature(
            "memory64", "3.0", True, "64-bit addresses",
            "clang --target=wasm64; emscripten -sMEMORY64; rustc --target wasm64-unknown-unknown",
            "build for the wasm32 target of the same name",
        ),
        Feature(
            "relaxed-simd", "3.0", True, "vector instructions of which an engine chooses the meaning",
            "clang and emscripten with -mrelaxed-simd; rustc with -C target-feature=+relaxed-simd",
            "leave that option out",
            interpreted=True,
        ),
        Feature(
            "threads", "4.0", True, "memories that threads share",
            "clang and emscripten with -pthread; rustc for wasm32-wasip1-threads; asc --enable threads",
            "leave -pthread out; Rust: --target wasm32-wasip1",
            interpreted=True,
        ),
        Feature(
            "custom-page-sizes", "4.0", True, "pages of one byte",
            "text written by hand, and linkers that were asked for another page size",
            "pages of 64 KiB, which are the default",
            asked=True,
        ),
        Feature(
            "wide-arithmetic", "4.0", True, "128-bit addition and multiplication",
            "clang with -mwide-arithmetic; rustc with -C target-feature=+wide-arithmetic",
            "leave that option out",
        ),
        Feature(
            "legacy-exceptions", "never", True, "try, rethrow, delegate: the exceptions that came before 3.0",
            "clang and emscripten with -fwasm-exceptions, in most of their versions",
            "C++: -fno-exceptions (emscripten's -fexceptions needs JavaScript); C: no setjmp",
            interpreted=True,
        ),
        Feature(
            "atomics", "4.0", True, "the atomic instructions of the proposal threads, on memories of one thread",
            "clang with -matomics; rustc with -C target-feature=+atomics",
            "leave that option out",
        ),
        Feature(
            "function-subtypes", "3.0", True, "recursion groups and subtypes of function types, of the proposal gc",
            "compilers that use the proposal gc", "a module whose function types stand alone needs none of it",
        ),
    )
}  # fmt: skip
READY: Final[frozenset[str]] = frozenset(f.name for f in FEATURES.values() if f.ready)
"""What Strata has."""
DEFAULT: Final[frozenset[str]] = frozenset(f.name for f in FEATURES.values() if f.ready and not f.asked)
"""What a module may use where nobody says anything else."""
INTERPRETED: Final[frozenset[str]] = READY | {f.name for f in FEATURES.values() if f.interpreted}
"""What a configuration may name."""


def refusal(name: str) -> str:
    """Why a proposal is refused, to stand behind what needs it."""
    if FEATURES[name].ready:
        return f"needs the proposal {name}, which is switched off"
    has = "has on request only" if FEATURES[name].interpreted else "does not have yet"
    return f"needs the proposal {name} ({FEATURES[name].doc}), which Strata {has}"


def request(name: str) -> str:
    """That a module needs a proposal which nobody has asked for, and how a command is asked."""
    has = f"has on request only: --proposal {name}" if name in INTERPRETED else "does not have yet"
    return f"needs the proposal {name}, which Strata {has}"


def refused_in(message: str) -> str:
    """The proposal that a message of ``refusal`` names; empty where it is about something else."""
    name = message.partition("needs the proposal ")[2].partition(" ")[0].rstrip(",")
    return name if name in FEATURES else ""


def advice(name: str) -> str:
    """What to do about a refused proposal, in lines; empty where nothing is known of it."""
    feature = FEATURES.get(name)
    if feature is None:
        return ""
    if feature.ready and feature.asked:
        return f"add {name!r} to Config.features, which has it only on request; for a command: --proposal {name}"
    if feature.ready:
        return f"leave Config.features at its default, or add {name!r} to it"
    called = "\non request: features=Config().features | {%r}, of load() or the Engine of a Module that run() is given;"
    asked = f"{called % name} for a command: --proposal {name}" * feature.interpreted
    return f"comes from: {feature.emitted_by}\ninstead: {feature.avoid}{asked}"
