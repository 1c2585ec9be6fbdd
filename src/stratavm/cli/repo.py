"""``strata repo``: signed packages of plugins: keys, signatures, what a repository has, and what of it is installed."""

from __future__ import annotations

import argparse
import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress

from stratavm.base.errors import StrataError
from stratavm.base.forms import Any, Final, NamedTuple, replace
from stratavm.base.text import printable
from stratavm.base.words import amount, counted, some
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.source import read_module
from stratavm.plugins.manifest import A_NAME, digest_of, is_name
from stratavm.plugins.repository.artifact import Sealed, seal
from stratavm.plugins.repository.errors import PackageRefused
from stratavm.plugins.repository.places import Places
from stratavm.plugins.repository.repository import Repository, opened_to_read, write_package
from stratavm.plugins.repository.results import Installed, Listed
from stratavm.plugins.repository.signing import PrivateKey
from stratavm.plugins.repository.trust import Trust, TrustedKey
from stratavm.plugins.sources import package_at

EXAMPLES: Final = """strata repo keygen acme                   a key that signs; others pin its public half
strata repo trust acme ed25519:… --for 'acme.*'
strata repo sign plugins/shout --key acme -o out/
strata repo add out/
strata repo install acme.shout            the newest release; and then `upgrade`, `rollback`
strata repo verify && strata repo gc"""
EXIT_WRONG: Final = 1
DATE: Final = "%Y-%m-%d"
BINARY_ENDING: Final = ".wasm"
KEY_ENDING: Final = ".key"
OPTIONS: Final = (
    ("--key", "key", "sign"), ("--out", "out", "sign"), ("--expires", "expires", "sign"),
    ("--for", "plugins", "trust"), ("--forget", "forget", "remove"), ("--all", "every", "gc"),
)  # fmt: skip
"""Options of one action, which no other one takes and does nothing about."""
MAKING: Final = ("add", "sign")
"""Actions that make a repository where there is none."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action", choices=tuple(ACTIONS), metavar="ACTION",
        help=f"one of {', '.join(ACTIONS)}: {'; '.join(f'{name} {a.help}' for name, a in ACTIONS.items())}",
    )  # fmt: skip
    parser.add_argument("words", nargs="*", metavar="WHAT", help="what the action is about")
    parser.add_argument("--repository", metavar="DIR", help="the repository, instead of the user's")
    parser.add_argument("--trusted", metavar="FILE", help="the file of trusted keys, instead of the user's")
    parser.add_argument("--key", metavar="KEY", help="for sign: the name of a key, or its FILE")
    parser.add_argument("--out", "-o", metavar="DIR", help="for sign: put the package there, and do not add it")
    parser.add_argument(
        "--expires", type=_date, metavar="DATE", help="for sign: not to be installed after this day, such as 2027-01-31"
    )
    parser.add_argument(
        "--for", dest="plugins", action="append", default=[], metavar="NAME",
        help="for trust: a plugin that the key may sign, or 'acme.*' (repeatable)",
    )  # fmt: skip
    parser.add_argument("--forget", action="store_true", help="for remove: any version may be installed again")
    parser.add_argument(
        "--all", dest="every", action="store_true", help="for gc: also what could still be installed, but is not"
    )
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    action = ACTIONS[options.action]
    if not action.least <= len(options.words) <= action.most:
        output.complain(f"expected `strata repo {options.action}{action.takes}`", "`strata repo --help`")
        return EXIT_USAGE
    for option, field, only in OPTIONS:
        if options.action != only and getattr(options, field):
            output.complain(f"{option} is for `strata repo {only}`", "`strata repo --help`")
            return EXIT_USAGE
    return action.does(options)


def _date(text: str) -> float:
    """The end of a day, in seconds since the epoch."""
    try:
        return float(time.mktime(time.strptime(text, DATE)) + 86399)
    except (ValueError, OverflowError):
        common.refuse(f"expected a day such as 2027-01-31, got {text!r}")


def _places(options: argparse.Namespace) -> Places:
    """What the options say, else the user's."""
    return Places.of(options.repository, options.trusted, keys=options.action in ("keygen", "sign"))


def _repository(options: argparse.Namespace) -> Repository:
    places = _places(options)
    _check_named(options)
    return Repository(places.repository, places.trust)


def _to_read(options: argparse.Namespace) -> Repository:
    """One that may lie where nothing can be written."""
    _check_named(options)
    return opened_to_read(_places(options))


def _check_named(options: argparse.Namespace) -> None:
    """Raise OSError for a repository that was named and is not there: a typo would make an empty one."""
    named = options.repository
    if named and options.action not in MAKING and not os.path.lexists(named):
        raise FileNotFoundError(errno.ENOENT, "no such folder", f"--repository {named}")


# ---- keys ----


def _keygen(options: argparse.Namespace) -> int:
    """A new key, in a file that only this user may read."""
    word = options.words[0]
    if os.sep not in word and not is_name(word.removesuffix(KEY_ENDING)):
        output.complain(f"expected {A_NAME}, got '{printable(word)}'", "or a path: ./FILE")
        return EXIT_USAGE
    place = _key_file(options, word)
    if os.path.lexists(place):
        what = "a folder" if os.path.isdir(place) else "a file"
        with suppress(StrataError, OSError):  # another one's, or none
            what = f"a key, {PrivateKey.read(place).public},"
        output.complain(f"{printable(place)} is {what} and stays as it is", "take another name")
        return EXIT_WRONG
    os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
    key = PrivateKey.new()
    key.save(place)
    if options.json:
        output.emit({"file": place, "key": key.public})
    else:
        output.line(f"{printable(place)} is the private key: keep it, and show it to nobody")
        name = os.path.basename(place).removesuffix(KEY_ENDING)
        known = name if is_name(name) else "NAME"
        output.line(f"others trust it by: strata repo trust {known} {key.public} --for PLUGIN")
    return 0


def _key_file(options: argparse.Namespace, name: str) -> str:
    """Where a key lies, by its name or its path."""
    return name if os.sep in name else os.path.join(_places(options).keys, name.removesuffix(KEY_ENDING) + KEY_ENDING)


def _keys(options: argparse.Namespace) -> int:
    """The keys that are trusted."""
    trust = Trust.read(_places(options).trust)
    if options.json:
        output.emit([{"name": key.name, "key": key.key, "plugins": list(key.plugins)} for key in trust])
    elif not len(trust):
        output.note(f"no key is trusted: {printable(trust.file)} has none")
    else:
        for key in trust:
            output.line(f"{key.name}  {key.key}  may sign {some(key.plugins)}")
    return 0


def _trust(options: argparse.Namespace) -> int:
    """Pin a key."""
    name, key = options.words
    if not options.plugins:
        output.complain("for which plugins is it?", "--for 'acme.*', or --for NAME")
        return EXIT_USAGE
    new = TrustedKey(name, key, tuple(options.plugins))
    Trust([new], f"key {name}")  # what is wrong with it is no fault of the file's
    Trust.change(_places(options).trust, lambda trust: trust.adding(new))
    return _done(options, {"name": name, "plugins": options.plugins}, f"{name} may sign {some(options.plugins)}")


def _distrust(options: argparse.Namespace) -> int:
    """Trust a key no more."""
    place, name = _places(options).trust, options.words[0]
    Trust.change(place, lambda trust: trust.without(name))
    return _done(options, {"name": name}, f"{name} is not trusted any more: nothing that it signed is loaded")


# ---- packages ----


def _sign(options: argparse.Namespace) -> int:
    """Make a package of a plugin's folder, and sign it."""
    if options.key is None:
        output.complain("by which key?", "--key NAME; `strata repo keygen NAME` makes one")
        return EXIT_USAGE
    place = _key_file(options, options.key)
    if not os.path.lexists(place):
        output.complain(
            f"there is no key {printable(place)}", f"`strata repo keygen {printable(options.key)}` makes it"
        )
        return EXIT_WRONG
    key = PrivateKey.read(place)
    sealed, what = _sealed(options, key)
    if options.out is not None:
        write_package(options.out, [sealed])
        return _done(options, {"package": what, "folder": options.out}, f"{what} is in {printable(options.out)}")
    with _repository(options) as repository:
        return _rows(options, [repository.take(sealed)])


def _sealed(options: argparse.Namespace, key: PrivateKey) -> tuple[Sealed, str]:
    """The package, and what people call it. Text becomes a binary, as the manifest then says."""
    found = package_at(options.words[0])
    manifest = found.manifest
    what = f"{manifest.name} {manifest.version}"
    module, source = read_module(os.path.join(found.folder, manifest.module))
    if source.image is not None:  # what it begins with would be lost
        todo = "sign the module that it was made of"
        raise PackageRefused(what, "form", "a module, as a binary or as text", "an image", todo)
    digest = digest_of(found.read())
    if manifest.digest not in ("", digest):
        raise PackageRefused(what, "digest", f"the module {manifest.digest}", digest)
    if not manifest.module.endswith(BINARY_ENDING):
        name = os.path.splitext(manifest.module)[0] + BINARY_ENDING
        manifest = replace(manifest, module=name, digest="")
    return seal(manifest, module, key, expires=options.expires), what


def _add(options: argparse.Namespace) -> int:
    """Take packages from a folder."""
    source, *only = options.words
    with _repository(options) as repository:
        return _rows(options, repository.add(source, *only))


def _list(options: argparse.Namespace) -> int:
    """What is there; 1 where something is not right."""
    with _to_read(options) as repository:
        found = repository.packages()
    _rows(options, found)
    return EXIT_WRONG if any(item.problem for item in found) else 0


def _rows(options: argparse.Namespace, found: list[Listed]) -> int:
    """Packages, one a line."""
    if options.json:
        output.emit([item._asdict() for item in found])
        return 0
    for item in found:
        marks = [name for name in ("installed", "earlier", "pinned") if getattr(item, name)]
        said = f"signed by {item.key}" if not item.problem else "not right"
        until = [f"until {item.expires}"] if item.expires else []
        output.line(f"{printable(item.name)} {printable(item.version)}  {', '.join([said, *until, *marks])}")
        if item.problem:
            output.complain(item.problem)
    if not found:
        output.note("no packages: `strata repo add` takes some from a folder")
    return 0


# ---- what is installed ----


def _install(options: argparse.Namespace) -> int:
    with _repository(options) as repository:
        return _versions(options, [repository.install(*options.words)])


def _upgrade(options: argparse.Namespace) -> int:
    with _repository(options) as repository:
        return _versions(options, repository.upgrade(*options.words), "nothing is newer")


def _rollback(options: argparse.Namespace) -> int:
    name, *steps = options.words
    if steps and not (len(steps[0]) < 10 and steps[0].isdecimal() and int(steps[0]) > 0):
        output.complain(f"expected a number of steps, got '{printable(steps[0])}'", "1 is the version before")
        return EXIT_USAGE
    with _repository(options) as repository:
        return _versions(options, [repository.roll_back(name, *map(int, steps))])


def _installed(options: argparse.Namespace) -> int:
    with _to_read(options) as repository:
        found = repository.installed()
    _versions(options, found, "nothing is installed")
    return EXIT_WRONG if any(item.problem for item in found) else 0


def _versions(options: argparse.Namespace, found: list[Installed], none: str = "") -> int:
    """What is installed, one a line."""
    if options.json:
        output.emit([item._asdict() for item in found])
        return 0
    for item in found:
        before = f"  before: {some(item.earlier)}" if item.earlier else ""
        output.line(f"{item.name} {item.version}{'  not right' if item.problem else ''}{before}")
        if item.problem:
            output.complain(item.problem)
    if not found:
        output.note(none)
    return 0


def _remove(options: argparse.Namespace) -> int:
    with _repository(options) as repository:
        repository.remove(options.words[0], forget=options.forget)
    return _done(options, {"removed": options.words[0]}, f"{options.words[0]} is not installed any more")


def _pin(options: argparse.Namespace) -> int:
    with _repository(options) as repository:
        (repository.pin if options.action == "pin" else repository.unpin)(*options.words)
    name, version = options.words
    stays = "stays" if options.action == "pin" else "stays no longer than it is needed"
    return _done(options, {"name": name, "version": version}, f"{name} {version} {stays}")


# ---- housekeeping ----


def _verify(options: argparse.Namespace) -> int:
    """Look at all; 1 where something is not right."""
    with _to_read(options) as repository:
        wrong = repository.verify()
        if options.json:
            output.emit({"repository": repository.path, "problems": [problem._asdict() for problem in wrong]})
        elif not wrong:
            output.line(f"{printable(repository.path)} is as it was written, and all of it is signed")
    for problem in () if options.json else wrong:
        output.complain(problem.said)
    return EXIT_WRONG if wrong else 0


def _gc(options: argparse.Namespace) -> int:
    with _repository(options) as repository:
        gone = repository.gc(every=options.every)
    said = f"removed {counted(gone.packages, 'package')}, {counted(gone.files, 'file')}, {amount(gone.bytes)}"
    return _done(options, gone._asdict(), said)


def _done(options: argparse.Namespace, data: dict[str, Any], said: str) -> int:
    if options.json:
        output.emit(data)
    else:
        output.line(printable(said))
    return 0


class Action(NamedTuple):
    """What can be done.

    Attributes:
        does: it; gives the exit code.
        takes: its words, for people; ``least`` and ``most``: how many.
        help: what it is, in few words.
    """

    does: Callable[[argparse.Namespace], int]
    takes: str
    least: int
    most: int
    help: str


ACTIONS: Final[dict[str, Action]] = {
    "keygen": Action(_keygen, " NAME", 1, 1, "makes a key, in a file of that name or path"),
    "keys": Action(_keys, "", 0, 0, "lists the trusted ones"),
    "trust": Action(_trust, " NAME KEY --for PLUGIN", 2, 2, "pins one"),
    "distrust": Action(_distrust, " NAME", 1, 1, "ends that"),
    "sign": Action(_sign, " PATH --key KEY", 1, 1, "makes a package of a plugin"),
    "add": Action(_add, " FOLDER [NAME [VERSION]]", 1, 3, "takes packages from a folder"),
    "list": Action(_list, "", 0, 0, "shows packages"),
    "install": Action(_install, " NAME [VERSION]", 1, 2, "makes a version the one that is loaded"),
    "installed": Action(_installed, "", 0, 0, "shows those"),
    "upgrade": Action(_upgrade, " [NAME]", 0, 1, "installs what is newer"),
    "rollback": Action(_rollback, " NAME [STEPS]", 1, 2, "goes back"),
    "remove": Action(_remove, " NAME", 1, 1, "installs none"),
    "pin": Action(_pin, " NAME VERSION", 2, 2, "keeps a package"),
    "unpin": Action(_pin, " NAME VERSION", 2, 2, "does not"),
    "verify": Action(_verify, "", 0, 0, "looks at every file"),
    "gc": Action(_gc, " [--all]", 0, 0, "removes what cannot be installed any more"),
}
