"""Security headers on every answer: pages, JSON, problems, streams, and what a defect of ours is answered with.

Scripts and styles come from this server and are in files of their own; nothing frames it; a page talks to this server
only. `Trusted Types`: one policy, `rientro`, makes the address of the service worker's script, nothing else makes any.
An answer that has said one of these itself keeps its own.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types rientro"
)
_ALWAYS = tuple((name.encode(), value.encode()) for name, value in (
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
))  # fmt: skip
_BY_HTTPS = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """Adds them; it stands outside everything that answers."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}
                ours = (*_ALWAYS, _BY_HTTPS) if scope["scheme"] == "https" else _ALWAYS
                message["headers"] = headers + [header for header in ours if header[0] not in said]
            await send(message)

        await self._app(scope, receive, with_headers)
