"""Install the extras of pyproject.toml at the pinned versions, without the package itself."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_DEPENDENCIES = {"demo", "programs"}  # wheels used as data; what they would run on is not wanted


def pip(*arguments: str) -> None:
    """Run pip in the interpreter that runs this."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", str(ROOT / "tools/constraints.txt"), *arguments], check=True)


def main(names: list[str]) -> None:
    """Install the named extras and the run-time dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    pip("pip", "setuptools", "wheel")
    wanted = {r for name in names if name not in WITHOUT_DEPENDENCIES for r in extras[name]}
    pip(*project["dependencies"], *sorted(wanted))
    if data := {r for name in names if name in WITHOUT_DEPENDENCIES for r in extras[name]}:
        pip("--no-deps", *sorted(data))


if __name__ == "__main__":
    main(sys.argv[1:])
