"""Programs that nobody trusts, run in one call, here or behind a wall of processes; Python; and JavaScript."""

from __future__ import annotations

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    from stratavm.sandbox.javascript import JavaScript as JavaScript
    from stratavm.sandbox.javascript import JavaScriptCompleted as JavaScriptCompleted
    from stratavm.sandbox.python.entry import Python as Python
    from stratavm.sandbox.python.guests import GuestRefused as GuestRefused
    from stratavm.sandbox.python.results import Frame as Frame
    from stratavm.sandbox.python.results import PythonCompleted as PythonCompleted
    from stratavm.sandbox.python.results import Raised as Raised
    from stratavm.sandbox.python.results import ToolCall as ToolCall
    from stratavm.sandbox.python.session import Session as Session
    from stratavm.sandbox.python.session import SessionBusy as SessionBusy
    from stratavm.sandbox.python.session import SessionEnded as SessionEnded
    from stratavm.sandbox.python.tools import Tool as Tool
    from stratavm.sandbox.python.tools import ToolDenied as ToolDenied
    from stratavm.sandbox.python.tools import ToolError as ToolError

# Public name → its module; resolved at first use: `stratavm.run` needs none of them.
_EXPORTS = {
    "Frame": "python.results",
    "GuestRefused": "python.guests",
    "JavaScript": "javascript",
    "JavaScriptCompleted": "javascript",
    "Python": "python.entry",
    "PythonCompleted": "python.results",
    "Raised": "python.results",
    "Session": "python.session",
    "SessionBusy": "python.session",
    "SessionEnded": "python.session",
    "Tool": "python.tools",
    "ToolCall": "python.results",
    "ToolDenied": "python.tools",
    "ToolError": "python.tools",
}

if not TYPE_CHECKING:  # a type checker reads the imports above
    from stratavm.base.importing import exported

    __all__ = sorted(_EXPORTS)
    __getattr__, __dir__ = exported(__name__, _EXPORTS, globals())
