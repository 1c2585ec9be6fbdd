"""Wheels and editable installs: hands the hot modules to ``tools/build.py``."""

import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from tools import build  # noqa: E402  (the path is set just above)

VARIANT = build.variant_from_environment()


class BuildHot(build_ext):
    """Compiles with the project's own incremental driver instead of distutils."""

    def run(self) -> None:
        """Build every hot module; place it in the build tree, or beside its source."""
        if self.inplace or self.editable_mode:
            build.make(ROOT, VARIANT)
            return
        modules = build.compile_stale(ROOT, VARIANT)
        for installed, cached in build.compiled_files(ROOT, VARIANT, modules).items():
            target = Path(self.build_lib, installed.relative_to(ROOT / "src"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cached, target)


class BuildPy(build_py):
    """Leaves out of wheels what only a source checkout needs."""

    def find_package_modules(self, package, package_dir):
        """All modules but the stale-build guard."""
        modules = super().find_package_modules(package, package_dir)
        return [m for m in modules if (m[0], m[1]) != ("stratavm", "_build")]


def extensions():
    """What tells setuptools that the wheel is of one Python: the compiled files, by the names they have as modules."""
    sources = {}
    for module in build.discover(ROOT, VARIANT):
        sources.setdefault(module.installed, []).append(str(module.source.relative_to(ROOT)))
    for installed, needed in sources.items():
        parts = installed.relative_to(ROOT / "src").parts
        yield Extension(".".join([*parts[:-1], parts[-1].partition(".")[0]]), needed)


setup(
    ext_modules=list(extensions()),
    cmdclass={"build_ext": BuildHot, "build_py": BuildPy},
)
