"""What tests of plugins share: a host whose clock stands still, and what it said."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from stratavm.base.forms import replace
from stratavm.plugins import Capability, Grant, HostFunction, PluginLimits, Plugins, Policy, Timeouts
from stratavm.plugins.events import PluginEvent
from stratavm.testing import EventRecorder
from tests.unit.plugins.guests import manifest, module

PATIENT = PluginLimits(call_s=100)
"""More than the slowest machine takes."""


WAIT_S = 60


def until(holds):
    """Wait until it holds; a test that waits for what never comes says so."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "it never was so"
        time.sleep(0.001)


async def until_async(holds):
    """The same, while the loop goes on."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "it never was so"
        await asyncio.sleep(0.001)


class Held:
    """What a capability does that holds its caller: ``inside`` is set when one has come, ``go_on`` lets it go on."""

    def __init__(self):
        self.inside, self.go_on = threading.Event(), threading.Event()

    def __call__(self, text):
        self.inside.set()
        assert self.go_on.wait(WAIT_S)
        return text

    def has_come(self):
        """Wait for the caller."""
        assert self.inside.wait(WAIT_S)


@pytest.fixture
def held():
    """A function of the host that holds its callers, who go on at the end."""
    made = Held()
    yield made
    made.go_on.set()


class Host:
    """Plugins that are granted what they ask for, and a clock.

    Attributes: ``ask`` is what the capability ``host`` does: ``ask: text -> text``.
    """

    def __init__(self, *capabilities, grant=None, **options):
        self.now = 1000.0
        self.ask = lambda text: text
        host = Capability("host", {"ask": HostFunction("text -> text", lambda text: self.ask(text))})
        names = ["host", *(c.name for c in capabilities)]
        grant = grant or Grant(capabilities=names)
        if grant.limits.call_s == PluginLimits().call_s:  # where nobody says less
            grant = replace(grant, limits=replace(grant.limits, call_s=PATIENT.call_s))
        policy = Policy({}, grant)
        options.setdefault("timeouts", Timeouts(stop=60))
        options.setdefault("clock", lambda: self.now)
        options.setdefault("chance", lambda: 0.5)
        self.plugins = Plugins(policy, [host, *capabilities], **options)
        self.events = EventRecorder(self.plugins.engine.bus, PluginEvent)

    def add(self, *body, imports="", name="guest", config=None, **functions):
        """A plugin of that body, not loaded."""
        asks = ["host"] if "host" in imports else []
        more = {"capabilities": asks} if asks else {}
        return self.plugins.add(manifest(name, functions, **more), module(*body, imports=imports), config)

    def load(self, *body, **options):
        """One that takes calls."""
        plugin = self.add(*body, **options)
        plugin.load()
        return plugin

    @property
    def said(self):
        """The names of the events since the last time, without what all have."""
        names = [name.removeprefix("Plugin") for name in self.events.names]
        self.events.clear()
        return names


@pytest.fixture
def host():
    """A host, closed at the end."""
    made = Host()
    yield made
    made.plugins.close()


@pytest.fixture
def hosts():
    """Makes hosts; all are closed at the end."""
    made = []

    def make(*capabilities, **options):
        made.append(Host(*capabilities, **options))
        return made[-1]

    yield make
    for one in made:
        one.plugins.close()
