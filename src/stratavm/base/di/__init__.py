"""Dependency injection: ``Services`` registers and checks, ``Container`` and ``Scope`` resolve."""

from __future__ import annotations

from stratavm.base.di.container import Container, StartTimeout
from stratavm.base.di.core import Scope
from stratavm.base.di.faults import AsyncRequired, ResolveError, UnknownService
from stratavm.base.di.hints import Named
from stratavm.base.di.services import Services, WiringError

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
