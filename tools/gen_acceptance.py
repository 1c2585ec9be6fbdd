"""Write docs/acceptance.md from acceptance.toml, without running the commands."""

from tools import accept, gen


def main() -> None:
    """Write the page."""
    gen.write("docs/acceptance.md", accept.page(accept.load()))
