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


class BuildHot(build_ext):
    """Compiles with the project's own incremental driver instead of distutils."""

    def run(self) -> None:
        """Build every hot module; place it in the build tree, or beside its source."""
        variant = build.variant_from_environment()
        if self.inplace or self.editable_mode:
            build.make(ROOT, variant)
            return
        for module in build.compile_stale(ROOT, variant):
            target = Path(self.get_ext_fullpath(module.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module.artefact, target)


class BuildPy(build_py):
    """Leaves out of wheels what only a source checkout needs."""

    def find_package_modules(self, package, package_dir):
        """All modules but the stale-build guard."""
        modules = super().find_package_modules(package, package_dir)
        return [m for m in modules if (m[0], m[1]) != ("stratavm", "_build")]


setup(
    ext_modules=[Extension(m.name, [str(m.source.relative_to(ROOT))]) for m in build.discover(ROOT)],
    cmdclass={"build_ext": BuildHot, "build_py": BuildPy},
)
