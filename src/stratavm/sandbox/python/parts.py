"""What ``Python`` is made of: imported as the first one is made, while a thread reads its interpreter (ADR-0034)."""

from __future__ import annotations

# What a run wants of WASI, which else it would import when the interpreter is read.
import stratavm.wasi.mounts
import stratavm.wasi.p1.args
import stratavm.wasi.p1.clock
import stratavm.wasi.p1.fd
import stratavm.wasi.p1.path
import stratavm.wasi.p1.poll
import stratavm.wasi.p1.proc
import stratavm.wasi.p1.random
import stratavm.wasi.p1.sock  # noqa: F401
from stratavm.sandbox.python.command import refuse as refuse
from stratavm.sandbox.python.command import run_command as run_command
from stratavm.sandbox.python.helpers import Helpers as Helpers
from stratavm.sandbox.python.interpreter import Begins as Begins
from stratavm.sandbox.python.interpreter import Frame as Frame
from stratavm.sandbox.python.opened import opened as opened
from stratavm.sandbox.python.outcome import Once as Once
from stratavm.sandbox.python.outcome import run_once as run_once
from stratavm.sandbox.python.session import Session as Session
from stratavm.sandbox.python.tools import toolbox as toolbox
from stratavm.sandbox.python.warm import Recipe as Recipe
from stratavm.sandbox.python.warm import Warm as Warm
from stratavm.sandbox.python.warm import plain as plain
