"""The application for uvicorn's own command line, which can run several processes on one port."""

from starlette.applications import Starlette

from server.app import create_app
from server.ops.logs import set_up_logs
from server.settings import Settings


def app() -> Starlette:
    """The application by the environment's settings."""
    settings = Settings()
    set_up_logs(settings.log_level)
    return create_app(settings)
