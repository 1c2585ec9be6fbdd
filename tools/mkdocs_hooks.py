"""MkDocs hooks: the navigation follows the folders; pages that others own are made, not kept.

The public API has pages of its own, made from what ``stratavm`` and its public packages export; one page for each
package stands apart, among the internals, with the opcodes. ``SECURITY.md`` and ``CONTRIBUTING.md`` are shown as they
are. Needs a built package.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import stratavm
from stratavm.spec import ops

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/stratavm"
GUIDES = {"Tutorial": "tutorial", "How to": "how-to"}
REFERENCE = ("reference/api.md", "reference/errors.md", "reference/beside.md")
BESIDE = ("wasi", "plugins", "plugins.repository", "testing", "base.events", "services.di", "services.lifecycle")
"""Public packages that ``import stratavm`` does not offer by itself."""
SHOWN = {"security.md": "SECURITY.md", "contributing.md": "CONTRIBUTING.md"}
"""Pages made of files beside the documentation."""


def listed(folder: Path) -> list[str]:
    """Pages of a folder: its index, what the index links to in its order, then the others."""
    start = folder / "index.md"
    order = re.findall(r"\]\(([\w-]+\.md)[)#]", start.read_text()) if start.is_file() else []
    places = {name: place for place, name in enumerate(["index.md", *order])}
    return sorted((path.name for path in folder.glob("*.md")), key=lambda name: (places.get(name, len(places)), name))


def package_page(folder: Path) -> str:
    """The modules of a package that stand on no other page; of packages the docstring, since modules show the rest."""
    text = f"# stratavm.{folder.name}\n"
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if path.name == "__init__.py":
            text += f"\n::: stratavm.{name.removesuffix('.__init__')}\n    options:\n      members: false\n"
        elif not path.name.startswith("_") and name not in BESIDE:
            text += f"\n::: stratavm.{name}\n"
    return text


@functools.cache
def made_pages() -> dict[str, str]:
    """Page → Markdown."""
    pages = {"internals/opcodes.md": opcode_page()}
    pages |= {"reference/beside.md": beside_page()} | dict(api_pages())
    pages |= {name: (ROOT / file).read_text().replace("](docs/", "](") for name, file in SHOWN.items()}
    folders = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
    return pages | {f"internals/{folder.name}.md": package_page(folder) for folder in folders}


def api_pages() -> Iterator[tuple[str, str]]:
    """What ``import stratavm`` offers: functions, then classes, on one page; exceptions on another."""
    kinds: dict[str, list[str]] = {"functions": [], "classes": [], "errors": []}
    for name in sorted(stratavm._EXPORTS):
        value = getattr(stratavm, name)
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        kinds["errors" if is_error else "classes" if isinstance(value, type) else "functions"].append(name)
    text = "# The public API\n\nAll that `import stratavm` offers, but for the [exceptions](errors.md).\n"
    for title in ("functions", "classes"):
        text += f"\n## {title.capitalize()}\n\n" + "".join(f"::: stratavm.{name}\n\n" for name in kinds[title])
    yield "reference/api.md", text
    text = "# Exceptions\n\nEverything that Strata raises is a `StrataError`; `Trap` is what a guest ran into.\n\n"
    yield "reference/errors.md", text + "".join(f"::: stratavm.{name}\n\n" for name in kinds["errors"])


def beside_page() -> str:
    """The public names of the packages beside ``stratavm`` itself, but for those that it offers too."""
    text = "# Beside the API\n\nPublic packages with imports of their own: `from stratavm.wasi import MemoryTree`.\n"
    for name in BESIDE:
        module = importlib.import_module(f"stratavm.{name}")
        names = getattr(module, "__all__", None) or [n for n in vars(module) if is_own(module, n)]
        names = [n for n in names if n not in stratavm._EXPORTS]
        text += f"\n## stratavm.{name}\n\n{module.__doc__}\n\n" + "".join(f"::: stratavm.{name}.{n}\n\n" for n in names)
    return text


def is_own(module: object, name: str) -> bool:
    """Whether a module without ``__all__`` defines a public name itself."""
    return name[0] != "_" and getattr(getattr(module, name), "__module__", "") == getattr(module, "__name__", None)


def opcode_page() -> str:
    """The rows of ``spec/ops`` as a table for each feature."""
    text = "# Opcodes\n\nEvery row of `stratavm.spec.ops`, by the proposal that brought it.\n"
    for feature, rows in itertools.groupby(sorted(ops.BY_ID.values(), key=lambda r: r.feature), lambda r: r.feature):
        text += f"\n## {feature}\n\n| opcode | code | type | traps | meaning |\n|---|---|---|---|---|\n"
        for row in rows:
            code = f"{row.prefix:02x} {row.code}" if row.prefix else f"{row.code:02x}"
            cells = (f"`{row.spelling}`", code, row.signature, ", ".join(row.traps), row.doc)
            text += "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return text


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Build the navigation: for users first, then for those who want to know how it works."""
    docs = Path(config.docs_dir)

    def section(folder: str) -> list[str]:
        return [f"{folder}/{name}" for name in listed(docs / folder)]

    first, *others = section("reference")
    internals = sorted(page for page in made_pages() if page.startswith("internals/"))
    config.nav = [
        {"Strata": "index.md"},
        *({title: section(folder)} for title, folder in GUIDES.items()),
        {"Reference": [first, *REFERENCE, *others, "security.md"]},
        {
            "Internals": [
                *section("internals"),
                {"Ideas": section("ideas")},
                {"Packages": internals},
                {"Decisions": section("adr")},
                {"State": ["acceptance.md", "fuzz-log.md", "contributing.md"]},
            ]
        },
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages, which exist only in the build."""
    for name, text in made_pages().items():
        files.append(File.generated(config, name, content=text))
    return files
