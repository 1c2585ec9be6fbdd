"""Write what is supported, from the registry of proposals, the lists of expected failures, which the official suite
holds to the letter, and the declarations of WASI functions: docs/reference/support.md, and a table in README.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stratavm.module.features import FEATURES, Feature
from tests.spec.lists import Expected, expected_failures, suite_size
from tools import gen

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
VERSIONS: Final = tuple(dict.fromkeys(f.since for f in FEATURES.values()))
MARKED: Final = re.compile(r"(<!-- support: made by `make gen` -->\n).*?(<!-- end -->)", re.DOTALL)
DECLARED: Final = re.compile(
    r'@PREVIEW1\.function\("(\w+)", "[^"]*"(?:, [\w.]+)?(?:, apart=[^\n]*)?\)\ndef .*?"""(.*?)(?:"""|\n\n)', re.DOTALL
)
ASKED: Final = "docs/how-to/memory.md#pages-of-one-byte"
"""Where it is said how to have a proposal that is there on request only."""
WITNESSES: Final = "docs/how-to/build.md#witnesses-from-outside"
"""Which programs of such languages are run."""
COLLECTOR: Final = (
    "a thread beside the guest marks full collections of 2 MiB or more, and what a heap takes beyond 8 MiB lies on "
    "large pages, as far as the machine has processors and such pages for that"
)
"""How guests' objects are collected."""
COLLECTING: Final = "docs/how-to/collect.md"
"""Where that is said, and how to do without."""
PAGE: Final = """# What is supported

Written by `make gen` from the registry of proposals, the strict lists of expected failures (`tests/expected_failures`)
and the declarations of WASI functions.

## Proposals

{suite}
Under each tier: how many scripts have assertions that fail for want of the proposal, perhaps among others. On request:
where [`Config.features`, or a command's `--proposal`, names it](../how-to/memory.md#pages-of-one-byte).

| proposal | in version | what it is | {tiers} |
|---|---|---|{rules}|
{proposals}

Objects of `gc` lie in a heap of their store. A full collection of 2 MiB or more is marked by a thread beside the guest
where the process may run on several processors (`GcConfig(concurrent=False)` has none), and what a heap takes beyond
8 MiB lies on pages of 2 MiB as far as the kernel gives some (`GcConfig(large_pages=False)`):
[Bound the pauses of guests' collector](../how-to/collect.md).

### Building without a proposal

What an error says where a configuration [leaves one out](../how-to/run-untrusted.md#proposals-that-are-switched-off).

| proposal | comes from | instead |
|---|---|---|
{refused}

## WASI, preview 1

| function | what it does |
|---|---|
{functions}
"""


def suite() -> str:
    """What the lists say of each tier, in a sentence or, where tiers differ, in several."""
    said: dict[str, list[str]] = {}
    for tier in TIERS:
        expected = expected_failures(tier)
        failures = sum(e.failures for e in expected.values())
        scripts, assertions = suite_size(tier)
        vectors = sum(e.failures for e in expected.values() if {"simd", "relaxed-simd"} & {*e.proposals})
        of_them = f", {vectors:,} of them SIMD" if vectors else ""
        if failures:
            result = (
                f"{scripts - len(expected)} of the {scripts} scripts of the official suite as a whole, and "
                f"{assertions - failures:,} of its {assertions:,} assertions; the other {failures:,} need proposals "
                f"that are refused{of_them}."
            )
        else:
            result = (
                f"all {scripts} scripts of the official suite, {assertions:,} assertions, with the proposals that are "
                "there on request."
            )
        said.setdefault(result, []).append(f"`{tier}`")
    return " ".join(
        f"{', '.join(tiers)} pass{'es' if len(tiers) == 1 else ''} {result}" for result, tiers in said.items()
    )


def overview(wasi: int) -> Iterator[str]:
    """The table in README: what works."""
    yield from ("| works | |", "|---|---|", *proposals(), f"| WASI, preview 1 | all {wasi} functions |")
    yield from (
        "| wasi-threads | programs with POSIX threads ([how](docs/how-to/compile.md#posix-threads)) |",
        "| compilers | clang, rustc, Zig and AssemblyScript, as they come ([how](docs/how-to/compile.md)) |",
        f"| languages whose objects are collected | MoonBit and Kotlin for WASI ([what ran]({WITNESSES})) |",
        f"| their collector | {COLLECTOR} ([how]({COLLECTING})) |",
    )


def proposals() -> Iterator[str]:
    """A row for each version: its proposals."""
    for version in VERSIONS:
        found = [f for f in FEATURES.values() if f.since == version]
        names = ", ".join(f.name + how_asked(f) for f in found)
        yield f"| {'in no version' if version == 'never' else f'WebAssembly {version}'} | {names} |"


def how_asked(feature: Feature) -> str:
    """What stands behind a proposal that is there for those only who ask for it."""
    return f" ([on request]({ASKED}))" if feature.asked else ""


def needing(feature: Feature, tier: str, expected: dict[str, Expected]) -> str:
    """What a tier's list says of a proposal."""
    scripts = sum(feature.name in e.proposals for e in expected.values())
    if scripts:
        return f"no ({scripts})"
    return "on request" if feature.asked else "yes"


def plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return text.replace("<", "&lt;").replace("_", "\\_")


def functions() -> Iterator[tuple[str, str]]:
    """Name and first sentences of each WASI function."""
    for path in sorted((gen.ROOT / "src/stratavm/wasi/p1").glob("*.py")):
        source = path.read_text()
        found = DECLARED.findall(source)
        if len(found) != source.count("@PREVIEW1.function("):
            raise ValueError(f"{path.name}: {len(found)} declarations were understood; make DECLARED fit the others")
        for name, text in found:
            yield name, " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def main() -> None:
    """Write the page and the table in README."""
    lists = {tier: expected_failures(tier) for tier in TIERS}
    declared = sorted(functions())
    cells = [(f"`{f.name}`", f.since, f.doc, *(needing(f, *each) for each in lists.items())) for f in FEATURES.values()]
    page = PAGE.format(
        suite=suite(),
        tiers=" | ".join(TIERS),
        rules="|".join("---" for _ in TIERS),
        proposals="\n".join(f"| {' | '.join(row)} |" for row in cells),
        refused="\n".join(
            f"| `{f.name}` | {plain(f.emitted_by)} | {plain(f.avoid)} |" for f in FEATURES.values() if f.avoid
        ),
        functions="\n".join(f"| `{name}` | {text} |" for name, text in declared),
    )
    gen.write("docs/reference/support.md", page)
    table = "\n".join([*overview(len(declared)), "", suite(), ""])
    readme = (gen.ROOT / "README.md").read_text()
    made, found = MARKED.subn(lambda m: m[1] + table + m[2], readme)
    if found != 1:
        raise SystemExit("README.md has no place for the table of support")
    gen.write("README.md", made)
