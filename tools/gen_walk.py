"""Generate the two walks over a function body from ``module/walk.py.in`` and its second part, ``walk_rows.py.in``.

The source is Python with two names that are known here: ``if VALIDATE:`` and ``if BUILD:`` blocks are kept in one
specialisation and dropped in the other.
"""

from dataclasses import dataclass

from tools.gen import ROOT, write

SOURCES = ("src/stratavm/module/walk.py.in", "src/stratavm/module/walk_rows.py.in")
"""One class, in two files to read."""
FLAGS = ("VALIDATE", "BUILD")


@dataclass(frozen=True, slots=True)
class Specialisation:
    """One generated module."""

    flag: str
    module: str
    name: str
    base: str
    doc: str

    @property
    def path(self) -> str:
        """Without the suffix."""
        return "src/" + self.module.replace(".", "/")


WALKS = (
    Specialisation(
        "VALIDATE",
        "stratavm.module._gen_validate_walk",
        "ValidateWalk",
        "stratavm.module.checker.Checker",
        "The validating walk over a function body: the algorithm of the specification's appendix, without the GIL.",
    ),
    Specialisation(
        "BUILD",
        "stratavm.ir._gen_build_walk",
        "BuildWalk",
        "stratavm.ir.build.Builder",
        "The building walk over a validated function body: WebAssembly to SSA, without the GIL.",
    ),
)


def specialise(lines: list[str], flag: str) -> list[str]:
    """Keep the blocks of ``flag``, one level of indentation less; drop the others'."""
    out: list[str] = []
    i = 0
    while i < len(lines):
        line = lines[i]
        indent = len(line) - len(line.lstrip())
        word = line.strip().removeprefix("if ").removesuffix(":")
        i += 1
        if line.strip() != f"if {word}:" or word not in FLAGS:
            out.append(line)
            continue
        block: list[str] = []
        while i < len(lines) and (not lines[i].strip() or len(lines[i]) - len(lines[i].lstrip()) > indent):
            block.append(lines[i][4:])
            i += 1
        if word == flag:
            out += specialise(block, flag)
        else:
            while out and block and not out[-1].strip() and not block[-1].strip():
                out.pop()
    return out


def main() -> None:
    """Write both walks."""
    source = "\n".join((ROOT / path).read_text() for path in SOURCES).splitlines()
    for walk in WALKS:
        text = "\n".join(specialise(source, walk.flag)) + "\n"
        base = walk.base.rpartition(".")[2]
        text = text.replace("{DOC}", walk.doc).replace("WALK(BASE)", f"{walk.name}({base})")
        write(f"{walk.path}.py", text)


if __name__ == "__main__":
    main()
