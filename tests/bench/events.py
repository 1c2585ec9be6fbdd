"""Cost of an event, in nanoseconds net of the loop, beside other Python libraries where they are installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from stratavm.base.events import Bus, Event, event
from tests.bench.measure import Row, per_call

OURS: Final = "strata"
LIMITS: Final = {"unobserved": 40.0, "one listener": 90.0, "five listeners": 200.0}
Emit = Callable[[int], tuple[str, dict[str, Any]]]


@event
class Measured(Event):
    """What is emitted."""

    number: int


def listener(*args: object, **named: object) -> None:
    """Takes what every library passes."""


def one(event: object) -> None:
    """A listener that takes the event."""


def ours(count: int) -> tuple[str, dict[str, Any]]:
    """A statement, and the names it uses, with so many listeners."""
    bus = Bus()
    for _ in range(count):
        bus.subscribe(Measured, one)
    if count == 0:
        return "if bus.hears(Measured): bus.emit(Measured(1))", {"bus": bus, "Measured": Measured}
    return "bus.emit(made)", {"bus": bus, "made": Measured(1)}


def ours_built(count: int) -> tuple[str, dict[str, Any]]:
    """The event is built each time."""
    bus = Bus()
    for _ in range(count):
        bus.subscribe(Measured, one)
    return "if channel: channel.emit(Measured(1))", {"channel": bus.channel(Measured), "Measured": Measured}


def blinker(count: int) -> tuple[str, dict[str, Any]]:
    """A signal."""
    signal = importlib.import_module("blinker").Signal()
    listeners = [lambda sender, **named: None for _ in range(count)]
    for each in listeners:
        signal.connect(each)
    return "signal.send(None, number=1)", {"signal": signal, "keep": listeners}


def psygnal(count: int) -> tuple[str, dict[str, Any]]:
    """A signal of a class."""
    library = importlib.import_module("psygnal")
    owner = type("Owner", (), {"changed": library.Signal(int)})()
    for _ in range(count):
        owner.changed.connect(lambda number: None, check_nargs=False)
    return "emit(1)", {"emit": owner.changed.emit}


def pyee(count: int) -> tuple[str, dict[str, Any]]:
    """An emitter."""
    emitter = importlib.import_module("pyee").EventEmitter()
    for _ in range(count):
        emitter.on("changed", lambda number: None)
    return "emit('changed', 1)", {"emit": emitter.emit}


def pluggy(count: int) -> tuple[str, dict[str, Any]]:
    """A hook."""
    library = importlib.import_module("pluggy")
    spec, impl = library.HookspecMarker("bench"), library.HookimplMarker("bench")

    def changed(number: int) -> None:
        """The hook."""

    manager = library.PluginManager("bench")
    manager.add_hookspecs(type("Spec", (), {"changed": staticmethod(spec(changed))}))
    for i in range(count):
        hook = impl(lambda number: None, specname="changed")
        manager.register(type("Plugin", (), {"changed": staticmethod(hook)}), name=str(i))
    return "changed(number=1)", {"changed": manager.hook.changed}


LIBRARIES: Final[dict[str, Emit]] = {
    OURS: ours, f"{OURS}, built each time": ours_built,
    "blinker": blinker, "psygnal": psygnal, "pyee": pyee, "pluggy": pluggy,
}  # fmt: skip


def measure(rounds: int) -> Iterator[Row]:
    """A row for each number of listeners."""
    for name, count in (("unobserved", 0), ("one listener", 1), ("five listeners", 5)):
        statements = {}
        for library, make in LIBRARIES.items():
            try:
                statements[library] = make(count)
            except ImportError:
                continue
        yield Row("events", name, "ns", per_call(statements, rounds))


def failures(rows: list[Row]) -> list[str]:
    """Thresholds that this run shows broken."""
    found = {row.name: row.values[OURS] for row in rows if row.suite == "events"}
    return [f"events, {n}: {ns:.0f} ns, at most {LIMITS[n]:.0f}" for n, ns in found.items() if ns > LIMITS[n]]
