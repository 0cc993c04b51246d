"""A real HTTP tile server on loopback that can misbehave; one aiohttp loop in a thread."""

from __future__ import annotations

import asyncio
import base64
import collections
import hashlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

Key = tuple[int, int, int]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, bytes], "web.StreamResponse | None"]


class TileServer:
    """Serves `/{z}/{x}/{y}.png` (rows from the north), and whatever is put under `pages`.

    Attributes:
        tiles: What is served; may be changed while it runs.
        faults: By tile, things to answer before the tile itself: a name of `_FAULTS`, taken off one by one.
        requests: Paths with queries, as they came.
        agents: User-Agent headers.
        statuses: How often each status was answered.
        busiest: Most requests under way at a time.
        pages: Fixed answers (content type, body) by path.
        files: Files by path, served with ranges.
        delay: Seconds before each answer.
        key: What a request's path or query must hold; others are refused.
        login: "user:password" that a request must give.
    """

    def __init__(self, tiles: dict[Key, bytes]) -> None:
        self.tiles = tiles
        self.faults: dict[Key, list[str]] = {}
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.statuses: collections.Counter[int] = collections.Counter()
        self.busiest = 0
        self.files: dict[str, Path] = {}
        self.delay = 0.0
        self.key = self.login = ""
        self.cache_control = "max-age=3600"
        self.retry_after = "0"
        self.tile_from_query: Callable[[web.Request], Key] | None = None
        self._busy = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def template(self) -> str:
        return self.url + "/{z}/{x}/{y}.png"

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/{z:\\d+}/{x:\\d+}/{y:\\d+}.png", self._tile)
        app.router.add_get("/{page:.*}", self._page)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        login = "Basic " + base64.b64encode(self.login.encode()).decode()
        if self.key not in request.path_qs or (self.login and request.headers.get("Authorization") != login):
            self.requests.append(request.path_qs)
            return self._status(401)
        return await handler(request)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        if self.tile_from_query is not None and request.query.get("TILEROW", request.query.get("BBOX")):
            return await self._answer(request, self.tile_from_query(request))
        self.requests.append(request.path_qs)
        self.agents.add(request.headers.get("User-Agent", ""))
        if request.path in self.files:
            return web.FileResponse(self.files[request.path])
        kind, body = self.pages.get(request.path, ("text/plain", b""))
        self.statuses[200 if body else 404] += 1
        return web.Response(body=body, content_type=kind, status=200 if body else 404)

    async def _tile(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, tuple(int(request.match_info[part]) for part in "zxy"))

    async def _answer(self, request: web.Request, key: Key) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        self.agents.add(request.headers.get("User-Agent", ""))
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            body = self.tiles.get(key)
            waiting = self.faults.get(key)
            if waiting:
                return await self._fault(request, waiting.pop(0), body or b"")
            if body is None:
                return self._status(404)
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            if request.headers.get("If-None-Match") == tag:
                self.statuses[304] += 1
                return web.Response(status=304, headers={"ETag": tag, "Cache-Control": self.cache_control})
            self.statuses[200] += 1
            headers = {"ETag": tag, "Cache-Control": self.cache_control}
            return web.Response(body=body, content_type="image/png", headers=headers)
        finally:
            self._busy -= 1

    def _status(self, status: int, **headers: str) -> web.Response:
        self.statuses[status] += 1
        return web.Response(status=status, headers=headers, text="no")

    async def _fault(self, request: web.Request, name: str, body: bytes) -> web.StreamResponse:
        if name.isdigit():
            extra = {"Retry-After": self.retry_after} if name in ("429", "503") else {}
            return self._status(int(name), **extra)
        if name == "html":
            self.statuses[200] += 1
            return web.Response(text="<html>log in first</html>", content_type="text/html")
        if name == "half":  # a whole answer of half a picture
            self.statuses[200] += 1
            return web.Response(body=body[: len(body) // 2], content_type="image/png")
        if name == "empty":
            return web.Response(body=b"", content_type="image/png")
        response = web.StreamResponse(headers={"Content-Type": "image/png"})
        if name == "cut":  # promises more than it sends
            response.content_length = len(body)
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            request.transport.close()  # type: ignore[union-attr]
            return response
        await response.prepare(request)
        try:
            if name == "endless":
                for _ in range(100_000):
                    await response.write(body)
            elif name == "slow":
                for place in range(len(body)):
                    await response.write(body[place : place + 1])
                    await asyncio.sleep(0.02)
            elif name == "silent":
                await response.write(body[:10])
                await asyncio.sleep(30)
        except (ConnectionResetError, ConnectionError):
            pass  # the client rightly hung up
        return response
