"""Drive an application: in this process with its lifespan, or through a real server on a socket.

Use both from fixtures: inside a test's body a failing assertion would come out wrapped in an ExceptionGroup.
"""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLL_S = 0.002


@asynccontextmanager
async def in_process(app: ASGIApp, *, raise_app_exceptions: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that calls `app` directly, between its startup and its shutdown.

    Whole answers only: what streams without an end (server-sent events) needs `served`. An exception the application
    lets through is raised in the test, or, without `raise_app_exceptions`, answered as a server would.
    """
    async with _lifespan(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": state.copy()}, receive, send)

        transport = httpx.ASGITransport(with_state, raise_app_exceptions=raise_app_exceptions)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield client


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """Yield the address of a real uvicorn in this event loop."""
    async with served_by(uvicorn.Config(app, log_config=None)) as url:
        yield url


@asynccontextmanager
async def served_by(config: uvicorn.Config) -> AsyncIterator[str]:
    """The same, configured otherwise; the socket is bound first, so no port can be stolen."""
    config.lifespan, config.timeout_graceful_shutdown = "on", 5
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        server = _Server(config)
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(_POLL_S)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


class _Server(uvicorn.Server):
    """A server that leaves the process alone: its signal handlers, and its life when the application does not start."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as error:
            raise RuntimeError("the application did not start: see the log of uvicorn.error") from error


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[dict[str, object]]:
    """Run the whole lifespan in one task of its own, as servers do; yield its state."""
    state: dict[str, object] = {}
    to_app, from_server = anyio.create_memory_object_stream[Message](2)
    to_server, from_app = anyio.create_memory_object_stream[Message](2)

    async def run() -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": state}
        await app(scope, from_server.receive, to_server.send)

    async def pass_through(phase: str) -> None:
        await to_app.send({"type": f"lifespan.{phase}"})
        answer = await from_app.receive()
        if answer["type"] != f"lifespan.{phase}.complete":
            raise RuntimeError(answer.get("message") or f"{phase} failed")

    async with to_app, from_server, to_server, from_app, anyio.create_task_group() as group:
        group.start_soon(run)
        await pass_through("startup")
        yield state
        await pass_through("shutdown")
