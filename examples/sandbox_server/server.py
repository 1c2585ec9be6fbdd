"""The HTTP side: a page to try it, ``POST /run`` for an answer, ``POST /stream`` for output as it comes, pictures,
metrics.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Message, Send

import stratavm
from examples.sandbox_server import science
from examples.sandbox_server.runner import Runner, Script, Settings
from examples.serving.guarding import Guard

T = TypeVar("T")
LOG = logging.getLogger("sandbox_server")
FOLDER = Path(__file__).parent
PAGE = ("page.html", "page.js", "page.css")
PICTURE = {"cache-control": "private, no-store", "content-disposition": "inline; filename=picture.png"}
CHUNKS = 8
"""Pieces of output that wait for a reader; then the guest waits, too."""


def create_app(settings: Settings | None = None) -> Starlette:
    """The application; uvicorn, or any other ASGI server, runs it."""
    runner = Runner(settings or Settings())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with runner:
            yield

    async def page(request: Request) -> Response:
        name = request.url.path.strip("/") or PAGE[0]
        return FileResponse(FOLDER / (name if name in PAGE else PAGE[0]))

    async def run(request: Request) -> Response:
        script = await _script(request, runner)
        began = time.perf_counter()
        try:
            if script.language == science.NAME:
                asked = runner.science.answer(script.code, script.stdin, script.tenant, script.limits)
                return JSONResponse(await _while_it_waits(request, asked))
            ending, printed = await _while_it_waits(request, runner.answer(script))
        except stratavm.Rejected as error:
            return _refusal(error)
        answer = {
            "reason": ending.reason,
            "exit_code": ending.exit_code,
            "message": ending.message,
            "output": printed.decode(errors="replace"),
            "seconds": round(time.perf_counter() - began, 4),
        }
        return JSONResponse(answer)

    async def stream(request: Request) -> Response:
        script = await _script(request, runner)
        if script.language == science.NAME:
            raise HTTPException(400, f"{science.NAME} has no stream: POST /run")
        return Output(_output(runner, script), runner.settings.patience)

    async def picture(request: Request) -> Response:
        found = runner.science.picture(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such picture, or none any more")
        return Response(found, media_type="image/png", headers=PICTURE)

    async def limits(request: Request) -> Response:
        known = {name: asdict(limit) for name, limit in runner.settings.science.limits.items()}
        return JSONResponse({science.NAME: known} if science.NAME in runner.languages else {})

    async def languages(request: Request) -> Response:
        return JSONResponse(sorted(runner.languages))

    routes: list[BaseRoute] = [
        Route("/", page),
        *(Route(f"/{name}", page) for name in PAGE[1:]),
        Route("/limits", limits),
        Route("/pictures/{name}", picture),
        Route("/languages", languages),
        Route("/run", run, methods=["POST"]),
        Route("/stream", stream, methods=["POST"]),
    ]
    with suppress(ImportError):  # without the client library there are no metrics
        from stratavm.observe.prometheus import endpoint

        routes.append(Mount("/metrics", endpoint(runner.engine, "sandbox")))
    guard = Middleware(Guard, hosts=runner.settings.hosts)
    app = Starlette(routes=routes, lifespan=lifespan, middleware=[guard])
    app.state.runner = runner
    return app


async def _while_it_waits(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """The answer; for a client that is gone nothing is run to its end."""
    running = asyncio.ensure_future(answer)
    watching = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((running, watching), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise HTTPException(400, "the client is gone")
        return running.result()
    finally:
        for task in (running, watching):
            task.cancel()
        await asyncio.gather(running, watching, return_exceptions=True)


async def _gone(request: Request) -> None:
    """The body is read: what comes now is that the client goes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _script(request: Request, runner: Runner) -> Script:
    """What the request asks for: JSON with ``language``, ``code`` and ``stdin``. Who asks is in ``X-Tenant``, which the
    proxy in front of this server should set, or else is who is connected."""
    body, most = bytearray(), runner.settings.request_bytes
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > most:  # what it never sends is not waited for
        raise HTTPException(413, f"a request has at most {most} bytes")
    try:
        async with asyncio.timeout(runner.settings.patience):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HTTPException(413, f"a request has at most {most} bytes")
    except ClientDisconnect:
        raise HTTPException(400, "the request ended in the middle of its body") from None
    except TimeoutError:
        raise HTTPException(408, "the request did not come to its end") from None
    try:
        given = json.loads(body)
        language, code, stdin = given["language"], given["code"], given.get("stdin", "")
        limits = given.get("limits")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise HTTPException(400, 'the body must be {"language": …, "code": …, "stdin": …}') from None
    if not all(isinstance(text, str) for text in (language, code, stdin)):
        raise HTTPException(400, "language, code and stdin are texts")
    if language not in runner.languages:
        raise HTTPException(404, f"no language {language!r:.40}; there are: {', '.join(sorted(runner.languages))}")
    try:
        tenant = request.headers.get("x-tenant") or (request.client.host if request.client else "anonymous")
        code.encode()
        return Script(language, code, stdin.encode(), tenant, runner.science.limits(limits))
    except UnicodeEncodeError:
        raise HTTPException(400, "code and stdin are texts: half of a surrogate pair is none") from None
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _refusal(error: stratavm.Rejected) -> Response:
    status = 429 if error.reason in ("full", "overload") else 503
    return JSONResponse({"reason": "rejected", "message": str(error)}, status, {"retry-after": "1"})


class Output(StreamingResponse):
    """Text as it comes. A reader who takes nothing for ``patience`` seconds is as good as gone: then all ends here.
    What the server had written to the connection by then is the kernel's to keep, which ``listen`` limits."""

    def __init__(self, pieces: AsyncGenerator[bytes], patience: float) -> None:
        super().__init__(pieces, media_type="text/plain")
        self._pieces, self._patience = pieces, patience

    async def stream_response(self, send: Send) -> None:
        """Send the pieces."""

        async def in_time(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        async with aclosing(self._pieces):
            await super().stream_response(in_time)


def listen(host: str, port: int, patience: float) -> socket.socket:
    """A socket that listens. Its connections end where the other side takes nothing for ``patience`` seconds."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=2048)
    if sys.platform == "linux":
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
    return listening


async def _output(runner: Runner, script: Script) -> AsyncGenerator[bytes]:
    """Output as it comes, then a line that says how the script ended. A reader who stops reading stops the guest, which
    waits until its time is over; one who goes away ends it."""
    chunks: asyncio.Queue[bytes | None] = asyncio.Queue(CHUNKS)

    async def run() -> None:
        try:
            ending = await runner.run(script, chunks.put)
            said = f"\n[{ending.reason} {ending.exit_code if ending.exit_code is not None else ending.message}]\n"
        except stratavm.Rejected as error:
            said = f"\n[rejected: {error}]\n"
        except Exception:
            LOG.exception("a script of tenant %s", script.tenant)
            said = "\n[error of the server]\n"
        await chunks.put(said.encode())
        await chunks.put(None)

    task = asyncio.create_task(run())
    try:
        while (chunk := await chunks.get()) is not None:
            yield chunk
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
