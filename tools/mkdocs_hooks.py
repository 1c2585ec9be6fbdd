"""MkDocs hooks: the navigation follows the folders; reference pages are made, not kept.

One page for each package, one for the command, one for the opcodes. Needs a built package.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from stratavm.cli.main import COMMANDS, main
from stratavm.spec import index

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/stratavm"
SECTIONS = {
    "Tutorial": "tutorial",
    "Tour": "tour",
    "How to": "how-to",
    "Ideas": "ideas",
    "Reference": "reference",
    "Decisions": "adr",
}


def public_modules(folder: Path) -> list[str]:
    """Dotted names of the documented modules of a package, itself first."""
    found = [
        path for path in sorted(folder.rglob("*.py")) if path.name == "__init__.py" or not path.name.startswith("_")
    ]
    parts = (path.relative_to(PACKAGE.parent).with_suffix("").parts for path in found)
    return [".".join(p[:-1] if p[-1] == "__init__" else p) for p in parts]


@functools.cache
def reference_pages() -> dict[str, str]:
    """Page → Markdown."""
    pages = {"reference/command.md": command_page(), "reference/opcodes.md": opcode_page()}
    return pages | {
        f"reference/{folder.name}.md": f"# stratavm.{folder.name}\n\n"
        + "\n".join(f"::: {name}\n" for name in public_modules(folder))
        for folder in sorted(p.parent for p in PACKAGE.glob("*/__init__.py"))
    }


def command_page() -> str:
    """What ``strata COMMAND --help`` prints."""
    os.environ["COLUMNS"] = "100"
    text = "# The command\n\n`strata` and `stratavm` are the same.\n"
    for name in COMMANDS:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            main([name, "--help"])
        text += f"\n## strata {name}\n\n```text\n{shown.getvalue()}```\n"
    return text


def opcode_page() -> str:
    """The rows of ``spec/ops`` as a table for each feature."""
    text = "# Opcodes\n\nEvery row of `stratavm.spec.ops`, by the proposal that brought it.\n"
    for feature, rows in itertools.groupby(sorted(index.BY_ID.values(), key=lambda r: r.feature), lambda r: r.feature):
        text += f"\n## {feature}\n\n| opcode | code | type | traps | meaning |\n|---|---|---|---|---|\n"
        for row in rows:
            code = f"{row.prefix:02x} {row.code}" if row.prefix else f"{row.code:02x}"
            cells = (f"`{row.spelling}`", code, row.signature, ", ".join(row.traps), row.doc)
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return text


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Build the navigation: fixed pages first, then each section's folder, ``index`` first."""
    docs = Path(config.docs_dir)
    nav: list[dict[str, object]] = [{"Strata": "index.md"}]
    for title, folder in SECTIONS.items():
        pages = [str(p.relative_to(docs)) for p in sorted((docs / folder).glob("*.md"))]
        if folder == "reference":
            pages += reference_pages()
        pages.sort(key=lambda page: not page.endswith("/index.md"))
        nav.append({title: pages})
    nav += [{"Acceptance": "acceptance.md"}, {"Fuzz log": "fuzz-log.md"}]
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference pages, which exist only in the build."""
    for name, text in reference_pages().items():
        files.append(File.generated(config, name, content=text))
    return files
