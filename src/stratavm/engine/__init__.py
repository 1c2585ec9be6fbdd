"""Engines, modules, linking, calls: the public objects, and the one place where everything is wired together.

This page is for who is outside: it gives the composition, so that whoever imports it knows every compiler. Modules of
the package import what they use, from where it is.
"""

from stratavm.engine import compose
from stratavm.engine.composition import give
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.func import Func
from stratavm.engine.host import Caller, HostSpec
from stratavm.engine.instance import Instance
from stratavm.engine.instance_pre import InstancePre
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.exceptions import Tag
from stratavm.runtime.globals import Global
from stratavm.runtime.memory import Memory
from stratavm.runtime.table import Table

give(compose)

__all__ = [
    "Caller",
    "Config",
    "Engine",
    "Func",
    "Global",
    "HostSpec",
    "Instance",
    "InstancePre",
    "Linker",
    "Memory",
    "Module",
    "Store",
    "Table",
    "Tag",
]
