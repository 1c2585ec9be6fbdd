"""The incremental build of hot modules: only what changed is compiled, two at a time.

A module is hot when ``MARKER`` is one of its first five lines. Its key is a hash of its
source, its ``.pxd``, every ``.pxd`` of this package that those cimport (transitively), the flags
and the versions of Python, Cython and the C compiler. The compiled file is kept under that key in a
cache that all checkouts of a user share (``$STRATA_BUILD_CACHE``, else ``~/.cache/stratavm``), so
switching between variants and branches and back compiles nothing twice. Variants, chosen by
``STRATA_BUILD``:

* ``opt``: what users get. No bounds checks, no assertions; all modules in one shared object (``tools/link.py``).
* ``checked``: bounds checks, assertions, C ``STRATA_CHECKED=1``. Fuzzing and most tests.
* ``trace``: the checked build, in which each line marks that it ran (``tools/marks.py``).

Run ``python -m tools.build [--clean]``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from tools import bytecode, link, marks, mended

MARKER = b"# strata: hot"
"""Among a module's first five lines it says that the module must be compiled; the import hook of ``stratavm`` obeys."""
KEEP_DAYS = 30
KEEP_LINKS = 12
TICK_NS = 20_000_000
"""More than the kernel's clock of files stands still."""
JOBS = int(os.environ.get("STRATA_BUILD_JOBS", "2"))
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

SHARED = "-shared"
COMMON_FLAGS = f"-g0 -fPIC {SHARED} -pthread -fno-strict-aliasing -fwrapv -w"
LINK_FLAGS = f"-O2 -fvisibility=hidden {link.FLAGS}"
DIRECTIVES: dict[str, Any] = {
    "language_level": 3,
    "binding": False,  # as functions of C: nothing is made of them at a start (ADR-0080)
    "embedsignature": True,
    "embedsignature.format": "clinic",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of compiling the hot modules."""

    name: str
    flags: str
    directives: dict[str, Any]
    is_one: bool = field(default=False, repr=False)
    """Whether all modules are linked into one shared object."""
    marks: str = field(default="", repr=False)
    """The C that marks each line that ran, if any."""


_FAST = {
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
}
VARIANTS = {
    v.name: v
    for v in (
        Variant(
            "opt",
            f"-O2 -DCYTHON_WITHOUT_ASSERTIONS -DCYTHON_COMPRESS_STRINGS=0 {link.OBJECT_FLAGS}",
            _FAST,
            is_one=True,
        ),
        Variant("checked", "-O1 -DSTRATA_CHECKED=1", _FAST | {"boundscheck": True}),
        Variant(
            "trace",
            # no calls of Python; the last says that lines are traced, and keeps helper threads out (ADR-0075)
            "-O0 -DSTRATA_CHECKED=1 -DCYTHON_TRACE=0 -DCYTHON_PROFILE=0 -DCYTHON_TRACE_NOGIL=1",
            _FAST | {"boundscheck": True, "linetrace": True},
            marks=marks.HEAD + marks.TAIL,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class HotModule:
    """A module to compile, everything its machine code depends on, and where that code is kept."""

    name: str
    source: Path
    inputs: tuple[Path, ...]
    key: str
    artefact: Path
    """The compiled file in the cache; a ``.c`` lies beside it in the trace variant."""
    installed: Path
    """Where Python finds it: beside the source, or in the one shared object of the package."""

    @property
    def listing(self) -> Path:
        """The C file beside the source, which coverage reads in the trace variant."""
        return self.source.with_suffix(".c")


def variant_from_environment() -> Variant:
    """The variant that ``STRATA_BUILD`` names; ``opt`` by default."""
    name = os.environ.get("STRATA_BUILD") or "opt"
    if name not in VARIANTS:
        raise SystemExit(f"STRATA_BUILD={name}: expected one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


# ---- what a module depends on ------------------------------------------------------------------

_FROM = re.compile(
    rb"(?:^|[;:])\s*from\s+(?:cython\.cimports\.)?([\w.]+)\s+c?import\s+(?:\(([^)]*)\)|([^#;\n]*))",
    re.MULTILINE,
)
_PLAIN = re.compile(rb"(?:^|[;:])\s*c?import\s+([\w., ]+)", re.MULTILINE)


@functools.cache
def read(path: Path) -> bytes:
    """A source file's bytes; read once in a run."""
    return path.read_bytes()


@functools.cache
def cimported(path: Path, src: Path) -> frozenset[Path]:
    """The ``.pxd`` of this package that one file cimports.

    A plain ``import`` is followed too where a ``.pxd`` of that name exists: too many inputs cost
    a rebuild, a missing one costs memory corruption.
    """
    text = read(path).replace(b"\\\n", b" ")
    dotted = {(base.decode(), (many + one).decode()) for base, many, one in _FROM.findall(text)}
    for line in _PLAIN.findall(text):
        names = line.decode().replace("cython.cimports.", "").split(",")
        dotted |= {(n.split()[0], "") for n in names if n.strip()}
    found: set[Path] = set()
    for base, names in dotted:
        tail = base.lstrip(".")
        dots = len(base) - len(tail)
        stem = path.parents[dots - 1] if dots else src
        stem = stem.joinpath(*tail.split(".")) if tail else stem
        found.add(stem.with_name(stem.name + ".pxd"))
        found.add(stem / "__init__.pxd")
        words = [part.split("#")[0].split() for part in re.split(r"[,\n]", names)]
        found.update(stem / f"{w[0]}.pxd" for w in words if w)
    return frozenset(p for p in found if p.is_file())


def inputs_of(source: Path, src: Path) -> tuple[Path, ...]:
    """The source, its own ``.pxd`` and all that they cimport, in a stable order."""
    pending, seen = [source, source.with_suffix(".pxd")], set()
    while pending:
        path = pending.pop()
        if path not in seen and path.is_file():
            seen.add(path)
            pending += cimported(path, src)
    return tuple(sorted(seen))


@functools.cache
def toolchain() -> str:
    """What compiles, in one line that is part of every key."""
    compiler = os.environ.get("CC", "gcc")
    identity = subprocess.run(
        [*shlex.split(compiler), "-dumpfullversion", "-dumpmachine"], capture_output=True, text=True
    )
    extra = os.environ.get("CFLAGS", "")
    cython = f"cython-{version('cython')}-{mended.DIGEST}"
    return f"{SUFFIX} {cython} {compiler} {identity.stdout.split()} {extra}"


def is_hot(source: Path) -> bool:
    """Whether a module must be compiled, by its marker."""
    with source.open("rb") as file:
        return MARKER in file.read(400).splitlines()[:5]


def load_guard(root: Path) -> ModuleType:
    """The package's own guard, so that the manifest is defined once."""
    spec = importlib.util.spec_from_file_location("_guard", root / "src/stratavm/_build.py")
    assert spec and spec.loader
    guard = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(guard)
    return guard


def discover(root: Path, variant: Variant | None = None) -> list[HotModule]:
    """Every hot module of the checkout, with its key under ``variant``."""
    variant = variant or variant_from_environment()
    src = root / "src"
    cache = cache_directory()
    modules = []
    for source in sorted(src.rglob("*.py")):
        if not is_hot(source):
            continue
        name = ".".join(source.relative_to(src).with_suffix("").parts)
        inputs = inputs_of(source, src)
        recipe = f"{name} {toolchain()} {COMMON_FLAGS} {variant} {DIRECTIVES}{variant.marks}"
        hasher = blake2b(recipe.encode(), digest_size=12)
        for path in inputs:
            hasher.update(b"\0%s\0%d\0" % (str(path.relative_to(src)).encode(), len(read(path))))
            hasher.update(read(path))
        key = hasher.hexdigest()
        artefact = cache / variant.name / f"{name}-{key}{'.o' if variant.is_one else SUFFIX}"
        installed = object_of(src) if variant.is_one else source.with_name(source.stem + SUFFIX)
        modules.append(HotModule(name, source, inputs, key, artefact, installed))
    return modules


def object_of(src: Path) -> Path:
    """Where the one shared object of all hot modules lies."""
    return src / "stratavm" / f"{link.STEM}{SUFFIX}"


def cache_directory() -> Path:
    """Where compiled files are kept, for all checkouts."""
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("STRATA_BUILD_CACHE") or Path(user, "stratavm"))


def prune_cache() -> None:
    """Forget what no build has used for some time."""
    oldest = time.time() - KEEP_DAYS * 86400
    for path in cache_directory().glob("*/*"):
        with suppress(FileNotFoundError):  # another checkout may prune too
            if path.stat().st_mtime < oldest:
                path.unlink()


# ---- compiling ---------------------------------------------------------------------------------


def compile_module(module: HotModule, variant: Variant, root: Path) -> float:
    """Python → C → shared object in the cache, atomically. Returns the seconds it took.

    Sources that changed since the key was made leave nothing in the cache: it would be wrong for every checkout.
    """
    cython: Any = importlib.import_module("Cython.Compiler.Main")

    started = time.perf_counter()
    os.chdir(root / "src")  # relative names in the C file make it the same in every checkout
    work = root / "build" / variant.name
    work.mkdir(parents=True, exist_ok=True)
    module.artefact.parent.mkdir(parents=True, exist_ok=True)
    c_file = work / f"{module.name}.c"
    options = cython.CompilationOptions(
        cython.default_options,
        output_file=str(c_file),
        include_path=["."],
        compiler_directives=DIRECTIVES | variant.directives,
    )
    source = str(module.source.relative_to(root / "src"))
    result = cython.compile_single(source, options, full_module_name=module.name)
    if result.num_errors:
        raise SystemExit(f"Cython could not compile {source}")
    c_file.write_text(mended.mended(c_file.read_text()))
    scratch = module.artefact.with_suffix(f".{os.getpid()}.tmp")
    listing = c_file
    if variant.marks:
        c_file = work / f"{module.name}.marked.c"
        c_file.write_text(marks.marked(listing.read_text(), module.name))
    command = compiler(variant.flags, root)
    if variant.is_one:
        command.remove(SHARED)  # to link is another step
        command.append(link.renaming(module.name))
    subprocess.run([*command, "-o", str(scratch), str(c_file)], check=True)
    if changed := [str(path) for path in module.inputs if path.read_bytes() != read(path)]:
        scratch.unlink()
        raise SystemExit(f"{', '.join(changed)} changed while {source} was compiled: build again")
    if variant.marks:
        shutil.copyfile(listing, module.artefact.with_suffix(".c"))
    scratch.replace(module.artefact)
    return time.perf_counter() - started


def compiler(flags: str, root: Path) -> list[str]:
    """The C compiler with everything but its files; it makes shared objects."""
    settings = (os.environ.get("CC", "gcc"), COMMON_FLAGS, flags, os.environ.get("CFLAGS", ""))
    words = [word for setting in settings for word in shlex.split(setting)]
    return [*words, f"-I{sysconfig.get_path('include')}", f"-I{root / 'src'}"]


def pure_modules(root: Path) -> list[bytecode.PureModule]:
    """The modules that are not hot, as they were when this run first read them."""
    src = root / "src"
    cold = [path for path in sorted(src.rglob("*.py")) if not is_hot(path)]
    return bytecode.discover(src, [(path, read(path)) for path in cold])


def link_key(modules: list[HotModule], pure: list[bytecode.PureModule]) -> str:
    """What tells the one shared object of these modules from any other."""
    recipe = f"{toolchain()} {COMMON_FLAGS} {LINK_FLAGS} {read(bytecode.START)!r}"
    keys = [(hot.name, hot.key) for hot in modules] + [(cold.name, cold.key) for cold in pure]
    return link.key_of(recipe, keys)


def linked(root: Path, variant: Variant, modules: list[HotModule]) -> Path:
    """The one shared object of compiled modules, in the cache; linked if it is not there."""
    pure = pure_modules(root)
    key = link_key(modules, pure)
    folder = cache_directory() / variant.name
    target = folder / f"{link.STEM}-{key}{SUFFIX}"
    if not target.is_file():
        objects = {module.name: module.artefact for module in modules}
        code = bytecode.block(pure, folder, objects, read(bytecode.START).decode())
        contents = link.Contents(key, objects, code)
        try:
            link.link(compiler(LINK_FLAGS, root), contents, target, root / "build" / variant.name)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"build failed: {error}") from None
        prune_links(folder)
    target.touch()  # used today: see prune_cache
    return target


def prune_links(folder: Path) -> None:
    """Forget the shared objects that were used longest ago: there is one for each edit, and it takes 10 MB."""
    found = []
    for path in folder.glob(f"{link.STEM}-*"):
        with suppress(FileNotFoundError):  # another checkout may prune too
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found)[:-KEEP_LINKS]:
        path.unlink(missing_ok=True)


def compile_stale(root: Path, variant: Variant) -> list[HotModule]:
    """Compile what the cache lacks, the largest first; return all hot modules."""
    modules = discover(root, variant)
    missing = [m for m in modules if not m.artefact.is_file()]
    missing.sort(key=lambda m: -m.source.stat().st_size)
    if missing:
        print(f"compiling {len(missing)} of {len(modules)} hot modules ({variant.name})", flush=True)
        with ProcessPoolExecutor(min(JOBS, len(missing))) as pool:
            jobs = {pool.submit(compile_module, m, variant, root): m for m in missing}
            failures = []
            for done, job in enumerate(as_completed(jobs), 1):
                module, place = jobs[job], f"[{done:{len(str(len(jobs)))}}/{len(jobs)}]"
                try:
                    print(f"  {place} {module.name}  {job.result():.1f} s", flush=True)
                except (SystemExit, subprocess.CalledProcessError) as error:
                    print(f"  {place} {module.name}  FAILED", flush=True)
                    failures.append(f"{module.name}: {error}")
        if failures:
            raise SystemExit("build failed:\n  " + "\n  ".join(failures))
        prune_cache()
    return modules


# ---- installing beside the sources -------------------------------------------------------------


def install(cached: Path, target: Path) -> None:
    """Put a cached file where it belongs; a running process keeps the file it mapped."""
    scratch = target.with_suffix(f".{os.getpid()}.tmp")
    shutil.copyfile(cached, scratch)
    scratch.replace(target)


def compiled_files(root: Path, variant: Variant, modules: list[HotModule]) -> dict[Path, Path]:
    """Where each compiled file belongs in the sources → the file in the cache, which is made where it is missing."""
    for module in modules:
        module.artefact.touch()  # used today: see prune_cache
    if not variant.is_one:
        return {module.installed: module.artefact for module in modules}
    if not modules:
        return {}
    return {object_of(root / "src"): linked(root, variant, modules)}


def remove_orphans(root: Path, modules: list[HotModule], variant: Variant) -> None:
    """Delete compiled files whose source is gone or no longer hot: Python would prefer them."""
    keep = {m.installed for m in modules}
    if variant.marks:
        keep |= {m.listing for m in modules}
    for pattern in ("*.so", "*.c"):
        for path in (root / "src").rglob(pattern):
            if path not in keep:
                path.unlink()


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """One build at a time in a checkout."""
    import fcntl

    (root / "build").mkdir(exist_ok=True)
    with (root / "build" / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_in_place(module: HotModule, root: Path, old: dict[str, Any], guard: ModuleType) -> bool:
    """Whether the file beside the source is the one that the last build put there, from the same sources."""
    place = old["file"].get(str(module.installed.relative_to(root)))
    return (
        bool(place) and module.key in old["module"].get(module.name, ()) and guard.is_unchanged(module.installed, place)
    )


def make(root: Path, variant: Variant) -> int:
    """Bring the checkout to ``variant``; return the number of modules put in place."""
    guard = load_guard(root)
    manifest = root / "build" / "manifest.txt"
    with exclusive(root):
        modules = compile_stale(root, variant)
        old = guard.read_manifest() if manifest.is_file() else {"variant": {}, "module": {}, "file": {}}
        changed = [m for m in modules if not is_in_place(m, root, old, guard)]
        pure = pure_modules(root)
        one = [link_key(modules, pure)] if variant.is_one else []
        head = (SUFFIX, *one)
        if changed or old["variant"].get(variant.name) != head:
            manifest.unlink(missing_ok=True)  # an interrupted build leaves nothing importable
            put_in_place(root, variant, modules, changed)
        remove_orphans(root, modules, variant)
        lines, files = ["\t".join(["variant", variant.name, *head])], set()
        for module in modules:
            paths = {*module.inputs, module.source.with_suffix(".pxd"), module.installed}
            names = sorted(str(p.relative_to(root)) for p in paths)
            lines.append("\t".join(["module", module.name, module.key, *names]))
            files.update(names)
        lines += ["\t".join(["file", name, *guard.record(root / name)]) for name in sorted(files)]
        lines += pure_lines(root, pure, guard)
        read.cache_clear()
        cimported.cache_clear()
        if [m.key for m in discover(root, variant)] != [m.key for m in modules]:
            manifest.unlink(missing_ok=True)
            raise SystemExit("sources changed while they were built: build again")
        scratch = manifest.with_suffix(".tmp")
        scratch.write_text("\n".join(lines) + "\n")
        scratch.replace(manifest)
    return len(changed)


def pure_lines(root: Path, pure: list[bytecode.PureModule], guard: ModuleType) -> list[str]:
    """Times and sizes of the sources whose byte code the shared object has, of those that are still the same: they need
    not be read at a start. Not of one that has just changed: if it changes again in the same tick of the clock, nothing
    tells."""
    lines, latest = [], time.time_ns() - TICK_NS
    for module in pure:
        changed, size, content = guard.record(root / "src" / module.file) or ("", "", "")
        if content == blake2b(module.source, digest_size=16).hexdigest() and int(changed) < latest:
            lines.append("\t".join(["pure", module.name, changed, size]))
    return lines


def put_in_place(root: Path, variant: Variant, modules: list[HotModule], changed: list[HotModule]) -> None:
    """Install what changed, or the one shared object, if any module of it did or it has lost one."""
    for target, cached in compiled_files(root, variant, modules if variant.is_one else changed).items():
        install(cached, target)
    if variant.marks:
        for module in changed:
            install(module.artefact.with_suffix(".c"), module.listing)


def main() -> None:
    """Command line: build in place, or clean."""
    root = Path(__file__).resolve().parents[1]
    if "--clean" in sys.argv:
        shutil.rmtree(root / "build", ignore_errors=True)
        remove_orphans(root, [], VARIANTS["opt"])
        return
    variant = variant_from_environment()
    started = time.perf_counter()
    changed = make(root, variant)
    seconds = time.perf_counter() - started
    print(f"{variant.name}: {changed} module(s) put in place, {seconds:.1f} s")


if __name__ == "__main__":
    main()
