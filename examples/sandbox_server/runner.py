"""Runs scripts: a pool of guests for each language, limits for all of them, and one word for how a script ended."""

from __future__ import annotations

import gc
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import stratavm
from examples.sandbox_server import science
from examples.sandbox_server.languages import LANGUAGES, World, Write, load, maker
from examples.serving.guarding import HERE


def usual_policy() -> stratavm.Policy:
    """For a server: what cannot be done soon is refused."""
    return stratavm.Policy(overload="shed", max_queued=200, target_delay=0.05, min_ready=4, timeout=2.0)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server allows.

    Attributes:
        languages: those that it runs; ``science`` is Python with numpy, pandas and matplotlib.
        policy: of each language's pool.
        output_bytes: what a script may print in an answer; a stream may be longer.
        request_bytes: the longest request.
        patience: seconds for which a reader of a stream may take nothing.
        science: limits of ``science``, and what it begins with.
        hosts: names by which the server is asked.
    """

    languages: tuple[str, ...] = tuple(LANGUAGES)
    policy: stratavm.Policy = field(default_factory=usual_policy)
    output_bytes: int = 64 << 10
    request_bytes: int = 256 << 10
    patience: float = 10.0
    science: science.ScienceSettings = field(default_factory=science.ScienceSettings)
    hosts: tuple[str, ...] = HERE


@dataclass(frozen=True, slots=True)
class Script:
    """What somebody wants to run."""

    language: str
    code: str
    stdin: bytes = b""
    tenant: str = "anonymous"
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a script ended.

    Attributes:
        reason: ``exit``, ``timeout``, ``output`` (it printed too much), or ``trap``: of the guest, or a limit of its.
        exit_code: with ``exit``.
        message: what there is to say besides.
    """

    reason: str
    exit_code: int | None = None
    message: str = ""


class TooMuchOutput(Exception):
    """A script printed more than an answer may have."""


class Runner:
    """The pools; an asynchronous context manager, which drains them at its end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = stratavm.Engine()
        self.pools: dict[str, stratavm.Pool] = {}
        self.science = science.Science(settings.science)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for name in self.settings.languages:
            if name == science.NAME:
                await self.science.begin()
                continue
            language = LANGUAGES[name]
            pool = stratavm.Pool(
                maker(language, await load(language, self.engine)),
                policy=self.settings.policy,
                limits=stratavm.StoreLimits(memory_bytes=language.memory_bytes),
                engine=self.engine,
                name=name,
            )
            self.pools[name] = await self._stack.enter_async_context(pool)
        gc.collect()
        gc.freeze()  # modules and the guests that are ready: a collection would hold the loop to look at all of them
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.unfreeze()
        await self._stack.__aexit__(kind, error, trace)

    @property
    def languages(self) -> Collection[str]:
        """Those that run."""
        return self.settings.languages

    async def run(self, script: Script, take: Write) -> Ending:
        """Run a script, and give its output away as it comes.

        Raises:
            stratavm.Rejected: it was not run.
            KeyError: there is no such language.
        """
        pool = self.pools[script.language]
        try:
            async with pool.instance(tenant=script.tenant) as guest:
                world: World = guest.beside
                world.begin(script.code, script.stdin, take)
                await guest.call("_start")
        except stratavm.ExitError as end:
            return Ending("exit", end.code)
        except stratavm.DeadlineExceeded:
            return Ending("timeout", message="it took longer than it may")
        except TooMuchOutput:
            return Ending("output", message=f"it printed more than {self.settings.output_bytes} bytes")
        except stratavm.Rejected:
            raise
        except stratavm.StrataError as error:
            return Ending("trap", message=str(error).partition("\n")[0])
        return Ending("exit", 0)

    async def answer(self, script: Script) -> tuple[Ending, bytes]:
        """Run a script to its end; how it ended, and what it printed, up to the limit."""
        printed, most = bytearray(), self.settings.output_bytes

        async def take(data: bytes) -> None:
            room = most - len(printed)
            printed.extend(data[:room])
            if len(data) > room:
                raise TooMuchOutput

        return await self.run(script, take), bytes(printed)
