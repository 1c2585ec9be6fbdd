"""``strata plugin``: plugins in folders, what they ask for, whether they are what they say, and a call of one."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator

from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple
from stratavm.base.text import printable
from stratavm.base.words import did_you_mean, some
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.source import standard_input
from stratavm.engine.engine import Engine
from stratavm.plugins.capabilities import key_values, log
from stratavm.plugins.capability import Capability
from stratavm.plugins.limits import PluginLimits
from stratavm.plugins.manifest import Manifest, wrong_with
from stratavm.plugins.plugins import Plugins
from stratavm.plugins.policy import Grant, Policy
from stratavm.plugins.sources import Found, Package, package_at, search

if TYPE_CHECKING:
    from stratavm.plugins.convention import Signature
    from stratavm.plugins.plugin import Plugin

EXAMPLES: Final = """strata plugin list plugins/
strata plugin check plugins/shout
strata plugin run --grant log plugins/shout shout hello
cat big.json | strata plugin run plugins/index index -
strata plugin run --grant log --installed shout shout hello      signed, from the repository (`strata repo`)
strata plugin watch --grant log plugins/shout shout hello"""
ACTIONS: Final = ("list", "check", "run", "watch")
GRANTS: Final = ("log", "kv", "wasi")
MOST_VALUE: Final = 1 << 30
"""Bytes of a value that are read; a plugin's ``message_bytes`` are fewer."""
EXIT_WRONG: Final = 1


class Unusable(Exception):
    """A command line that cannot be meant: what is wrong with it, and what to do."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "action", choices=ACTIONS, metavar="ACTION",
        help="list shows what is there, check validates without running anything, run calls a function, watch updates "
        "a plugin whenever its files have changed, and calls a function then",
    )  # fmt: skip
    parser.add_argument(
        "path", metavar="PATH",
        help="a manifest, or a folder with one; for list, of folders too; with --installed, NAME or NAME:VERSION",
    )  # fmt: skip
    parser.add_argument(
        "function", nargs="?", metavar="FUNCTION", help="for run and watch: a function that the manifest names"
    )
    parser.add_argument("value", nargs="?", metavar="VALUE", help="its argument: text or JSON; - reads standard input")
    parser.add_argument(
        "--grant", action="append", default=[], choices=GRANTS, metavar="NAME",
        help=f"let it have a capability: {', '.join(GRANTS)} (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--dir", action="append", default=[], type=common.directory, metavar="HOST[::GUEST][::rw]",
        help="with --grant wasi: a folder, read-only unless it says rw (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--env", action="append", default=[], type=common.variable, metavar="NAME[=VALUE]",
        help="with --grant wasi: a variable (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--installed", action="store_true", help="for run: PATH names a plugin that `strata repo` installed"
    )
    parser.add_argument("--repository", metavar="DIR", help="with --installed: where, instead of the user's repository")
    parser.add_argument("--trusted", metavar="FILE", help="with --installed: the trusted keys, instead of the user's")
    parser.add_argument("--fresh", action="store_true", help="for watch: begin anew where state cannot be carried")
    parser.add_argument("--config", metavar="JSON", help="what it is started with")
    parser.add_argument("--timeout", type=common.seconds, metavar="S", help="seconds for the call (default 5)")
    parser.add_argument("--fuel", type=common.units, metavar="N", help="units of fuel for the call")
    parser.add_argument("--max-memory", type=common.size, metavar="BYTES", help="cap on its memory (default 16M)")
    common.add_proposal(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """List, check or call."""
    if (options.function is None) is (options.action == "run") and options.action != "watch":
        wanted = "which FUNCTION is to be called?" if options.action == "run" else "FUNCTION is for `strata plugin run`"
        output.complain(wanted, "`strata plugin --help`")
        return EXIT_USAGE
    if options.action == "watch" and options.value == "-":
        output.complain("standard input is read once, and the function is called again and again", "give a VALUE")
        return EXIT_USAGE
    if options.fresh and options.action != "watch":
        output.complain("--fresh is for `strata plugin watch`", "`strata plugin --help`")
        return EXIT_USAGE
    if options.installed and options.action != "run":
        output.complain("--installed is for `strata plugin run`", "`strata repo --help`")
        return EXIT_USAGE
    if (options.repository or options.trusted) and not options.installed:
        output.complain("--repository and --trusted are for plugins that are installed", "--installed")
        return EXIT_USAGE
    if (options.dir or options.env) and "wasi" not in options.grant:
        output.complain("--dir and --env are for plugins that may have WASI", "--grant wasi")
        return EXIT_USAGE
    try:
        return {"list": _list, "check": _check, "run": _run, "watch": _watch}[options.action](options)
    except Unusable as error:
        output.complain(*map(str, error.args))
        return EXIT_USAGE


def _list(options: argparse.Namespace) -> int:
    """What is there; 1 where something is none."""
    found = list(search(options.path))
    wrong = [item for item in found if item.error is not None]
    if options.json:
        output.emit([_row(item) for item in found])
    else:
        for item in found:
            if item.package is not None:
                said = item.package.manifest
                output.line(f"{said.name} {said.version}  {printable(item.path)}", "title")
                output.line(f"  offers {some(f'{name}: {kinds}' for name, kinds in said.functions)}")
                _say_asks(said)
        for item in wrong:
            assert item.error is not None
            output.failure(item.error, module=item.path)
        if not found:
            output.note(f"no plugins in {printable(options.path)}")
    return EXIT_WRONG if wrong else 0


def _row(item: Found) -> dict[str, Any]:
    """One for programs."""
    if item.package is None:
        return {"path": item.path, "error": printable(str(item.error))}
    return {"path": item.path, "manifest": json.loads(item.package.manifest.as_json())}


def _say_asks(said: Manifest) -> None:
    """What a manifest asks for: all of it, since somebody has to decide on it."""
    folders = [f"{path} ({mode})" for path, mode in said.folders]
    parts = [*said.capabilities, *(["wasi"] if said.wasi else []), *folders, *said.env]
    asked = [*parts, *(f"{name} = {value}" for name, value in said.limits)]
    output.line(f"  asks for {some(asked, len(asked))}")
    for words, others in (("requires", said.requires), ("conflicts with", said.conflicts)):
        if others:
            output.line(f"  {words} {some((f'{name} {wanted}' for name, wanted in others), len(others))}")


def _check(options: argparse.Namespace) -> int:
    """Whether one is what it says; nothing of it runs, so it may have all that it asks for."""
    package = package_at(options.path)
    said = package.manifest
    grant = Grant(
        capabilities=said.capabilities,
        wasi=said.wasi,
        folders={path: (".", mode) for path, mode in said.folders},
        env=dict.fromkeys(said.env, ""),
        limits=PluginLimits(**dict(said.limits)),
    )
    policy = Policy({said.name: grant})
    capabilities = [Capability(name, {}) for name in said.capabilities]
    with Plugins(policy, capabilities, engine=_engine(options, policy)) as plugins:
        plugins.discover(options.path)
        plugins[said.name].check()
    if options.json:
        output.emit({"path": options.path, "manifest": json.loads(said.as_json())})
    else:
        output.line(f"{said.name} {said.version} is what it says")
        _say_asks(said)
    return 0


def _run(options: argparse.Namespace) -> int:
    """Call a function, and show what it answers."""
    chosen = Chosen(_installed(options) if options.installed else package_at(options.path))
    said = chosen.only.manifest
    signature = _signature(said, options.function)
    value = _value(signature.takes, options.value)
    with _host(said, options) as plugins:
        plugin = plugins.load_from(chosen, said.name, config=_config(options))
        _show(signature.gives, plugin.call(options.function, value), options.json)
    return 0


class Chosen(NamedTuple):
    """The one plugin that is called: what was looked at is what is loaded."""

    only: Package

    def package(self, name: str, version: str | None = None) -> Package:
        """It."""
        return self.only


def _installed(options: argparse.Namespace) -> Package:
    """One from the repository, whose signature and digests were checked just now."""
    from stratavm.plugins.repository.places import Places
    from stratavm.plugins.repository.repository import opened_to_read

    name, _, version = options.path.partition(":")
    with opened_to_read(Places.of(options.repository, options.trusted)) as repository:
        return repository.package(name, version or None)


def _watch(options: argparse.Namespace) -> int:
    """Update it whenever it has changed, and call a function then."""
    from stratavm.cli.pluginwatch import Following

    def call(plugin: Plugin) -> None:
        if options.function is not None:
            signature = _signature(plugin.manifest, options.function)
            value = _value(signature.takes, options.value)
            _show(signature.gives, plugin.call(options.function, value), options.json)
            output.flush()

    said = package_at(options.path).manifest
    with _host(said, options) as plugins:
        Following(plugins, options.path, _config(options), options.fresh, call).attend()
    return 0


def _host(said: Manifest, options: argparse.Namespace) -> Plugins:
    """A host that grants one plugin what the command line gives.

    Raises:
        Unusable: it asks for what the line does not give: said with the options that do.
    """
    missing = list(_not_given(said, options))
    if missing:
        named = said.name + " asks for " + ", ".join(printable(what) for what, _ in missing)
        raise Unusable(f"{named}, which it is not given", " ".join(dict.fromkeys(how for _, how in missing)))
    capabilities = [log(lambda plugin, line: output.note(f"{plugin}: {line}")), key_values()]
    policy = Policy({said.name: _grant(options)})
    return Plugins(policy, capabilities, engine=_engine(options, policy))


def _engine(options: argparse.Namespace, policy: Policy) -> Engine | None:
    """Where it runs that needs proposals on request; None: where all others do."""
    if not options.proposal:
        return None
    return Engine(features=common.features(options), fuel=policy.counts_fuel)


def _not_given(said: Manifest, options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """What a plugin asks for beyond what the line gives, and the options that give it."""
    for name in said.capabilities:
        if name not in options.grant:
            yield name, f"--grant {name}" if name in GRANTS else f"a program of yours gives it {name}"
    if said.wasi and "wasi" not in options.grant:
        yield "wasi", "--grant wasi"
    modes = {guest: "ro" if read_only else "rw" for _, guest, read_only in options.dir}
    for path, mode in said.folders:
        if modes.get(path) not in (mode, "rw"):
            yield f"{path} ({mode})", "--dir " + shlex.quote(f"HOST::{path}{'::rw' if mode == 'rw' else ''}")
    given = dict(options.env)
    for name in said.env:
        if name not in given:
            yield name, f"--env {name}=VALUE"
    limits, spelled = _grant(options).limits, {"memory_bytes": "--max-memory", "call_s": "--timeout", "fuel": "--fuel"}
    for name, value in said.limits:
        granted = getattr(limits, name)
        if granted is not None and value > granted:
            how = f"{spelled[name]} {value}" if name in spelled else f"a program of yours, whose policy gives {name}"
            yield f"{name} = {value} (given: {granted})", how


def _config(options: argparse.Namespace) -> Any:
    return None if options.config is None else _json("--config", options.config)


def _signature(said: Manifest, function: str) -> Signature:
    """What a function takes and gives."""
    signature = dict(said.functions).get(function)
    if signature is None:
        names = [name for name, _ in said.functions]
        near = did_you_mean(function, names) or f"there are: {some(names)}"
        raise Unusable(f"{said.name} has no function '{printable(function)}'; {near}")
    return signature


def _grant(options: argparse.Namespace) -> Grant:
    """What the command line gives."""
    standard = PluginLimits()
    return Grant(
        capabilities=[name for name in options.grant if name != "wasi"],
        wasi="wasi" in options.grant,
        folders={guest: (host, "ro" if read_only else "rw") for host, guest, read_only in options.dir},
        env=dict(options.env),
        limits=PluginLimits(
            call_s=standard.call_s if options.timeout is None else options.timeout,
            memory_bytes=standard.memory_bytes if options.max_memory is None else options.max_memory,
            fuel=options.fuel,
        ),
    )


def _value(kind: str, given: str | None) -> Any:
    """The argument of a call."""
    if kind == "none":
        if given is not None:
            raise Unusable("the function takes nothing", "no VALUE")
        return None
    if given is None:
        raise Unusable(f"the function takes {kind}", "give a VALUE, or - for standard input")
    data = standard_input(MOST_VALUE) if given == "-" else given.encode(errors="surrogateescape")
    if kind == "bytes":
        return data
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Unusable(f"the function takes {kind}: VALUE is no UTF-8 at byte {error.start}") from None
    return text if kind == "text" else _json("VALUE", text)


def _json(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{where} is no JSON: {wrong_with(error)}") from None


def _show(kind: str, value: Any, is_json: bool) -> None:
    """What it answered: bytes as they are, text on a line."""
    if is_json or kind == "json":
        output.emit(value.hex() if isinstance(value, bytes) else value)
    elif kind == "bytes":
        output.put(value)
    elif kind == "text":
        output.text(value + "\n")
