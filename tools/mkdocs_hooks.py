"""MkDocs hooks: the navigation follows the folders, one reference page is made per package."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/stratavm"
SECTIONS = {
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


def reference_pages() -> dict[str, str]:
    """Page → Markdown, one for each package."""
    return {
        f"reference/{folder.name}.md": f"# stratavm.{folder.name}\n\n"
        + "\n".join(f"::: {name}\n" for name in public_modules(folder))
        for folder in sorted(p.parent for p in PACKAGE.glob("*/__init__.py"))
    }


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
    nav.append({"Acceptance": "acceptance.md"})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference pages, which exist only in the build."""
    for name, text in reference_pages().items():
        files.append(File.generated(config, name, content=text))
    return files
