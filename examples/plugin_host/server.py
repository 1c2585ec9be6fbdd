"""The server: calls of plugins over HTTP, while a task looks for new packages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from json import loads

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from examples.plugin_host.host import Host, NoEarlier
from examples.serving.guarding import Guard
from stratavm import StrataError
from stratavm.plugins import ErrorAnswer, PluginUnavailable

PERIOD_S = 0.5
MOST_BYTES = 64 << 10
VALUES = {"none": lambda body: None, "bytes": bytes, "text": bytes.decode, "json": loads}
"""The argument of a function, by its kind, from the body of a request."""


def create_app(host: Host, port: int | None = None) -> Starlette:
    """The application of a host that was started, at a port; it looks for new packages as long as it serves, and leaves
    it to whoever started the host to close it."""

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(watch(host))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def listed(request: Request) -> Response:
        return JSONResponse(list(host.described()))

    async def call(request: Request) -> Response:
        return await answer(host, request)

    async def roll_back(request: Request) -> Response:
        try:
            return JSONResponse({"now": await asyncio.to_thread(host.roll_back, request.path_params["plugin"])})
        except LookupError as error:
            return PlainTextResponse(str(error), 404)
        except (StrataError, NoEarlier) as error:
            return PlainTextResponse(str(error), 409)

    routes = [
        Route("/plugins", listed),
        Route("/call/{plugin}/{function}", call, methods=["POST"]),
        Route("/rollback/{plugin}", roll_back, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=life, middleware=[Middleware(Guard, port=port)])


async def watch(host: Host) -> None:
    """Take what comes; what is refused is told, and the plugins go on as they are."""
    while True:
        try:
            for line in await asyncio.to_thread(host.take):
                print(line, flush=True)
        except (StrataError, OSError) as error:
            print(f"refused: {error}", flush=True)
        await asyncio.sleep(PERIOD_S)


async def answer(host: Host, request: Request) -> Response:
    """What a plugin answers, or why it does not."""
    plugin = host.plugin(request.path_params["plugin"])
    function = request.path_params["function"]
    if plugin is None or function not in dict(plugin.manifest.functions):
        return PlainTextResponse("no such plugin, or no such function", 404)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return PlainTextResponse(f"at most {MOST_BYTES} bytes", 413)
    kinds = dict(plugin.manifest.functions)[function]
    try:
        found = await plugin.call_async(function, VALUES[kinds.takes](body))
    except ErrorAnswer as error:  # in the plugin's own words
        return PlainTextResponse(str(error), 422)
    except (ValueError, RecursionError) as error:  # no text, no JSON
        return PlainTextResponse(str(error), 400)
    except (AttributeError, TypeError) as error:  # another version came meanwhile, without it
        return PlainTextResponse(str(error), 409)
    except PluginUnavailable as error:
        return PlainTextResponse(str(error), 503, {"Retry-After": str(int(error.retry_s or 0) + 1)})
    except StrataError as error:  # a trap, a limit, a deadline: the plugin gets a new instance
        return PlainTextResponse(f"the plugin failed: {error}", 502)
    return JSONResponse(found) if kinds.gives == "json" else Response(found, media_type="text/plain; charset=utf-8")
