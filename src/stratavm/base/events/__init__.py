"""Typed events: ``Bus``, ``@event``, listeners that are called at once. Knows nothing of WebAssembly."""

from __future__ import annotations

from stratavm.base.events.core import Bus, Channel, Event, Source, Subscription, Vetoed
from stratavm.base.events.declare import EventsDropped, ListenerFailed, event

__all__ = ["Bus", "Channel", "Event", "EventsDropped", "ListenerFailed", "Source", "Subscription", "Vetoed", "event"]
