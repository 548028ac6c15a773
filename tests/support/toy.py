"""The smallest application with a lifespan and its state: what the helpers of the tests are tried on."""

from starlette.types import Receive, Scope, Send


async def toy(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with its path and what the lifespan left in the state."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["word"] = "up"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['path']} {scope['state']['word']}".encode()})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse to start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
