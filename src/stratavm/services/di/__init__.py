"""Dependency injection: ``Services`` registers and checks, ``Container`` and ``Scope`` resolve."""

from __future__ import annotations

from stratavm.services.di.container import Container, StartTimeout
from stratavm.services.di.core import Scope
from stratavm.services.di.faults import AsyncRequired, ResolveError, UnknownService
from stratavm.services.di.hints import Named
from stratavm.services.di.services import Services, WiringError

__all__ = [
    "AsyncRequired",
    "Container",
    "Named",
    "ResolveError",
    "Scope",
    "Services",
    "StartTimeout",
    "UnknownService",
    "WiringError",
]
