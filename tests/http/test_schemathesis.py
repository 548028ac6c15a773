"""Every documented operation, hammered from its own document over a real socket: no 500, nothing undocumented."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import uvicorn
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, settings

from server.app import create_app, open_core
from server.collections import registry
from server.routes.api import operations
from server.routes.openapi import openapi
from server.settings import Settings

_BOUNDED = [operation for operation in operations(registry()) if operation.path != "/v1/live"]
schemathesis.checks.load_all_checks()
_NOT_OURS: list[Any] = [
    check
    for check in schemathesis.checks.CHECKS.get_all()
    if check.__name__ in {"positive_data_acceptance", "negative_data_rejection", "ignored_auth"}
]
"""A document that fits the schema may still be refused by a rule the schema cannot say."""

_DEAR = "/v1/auth/password"
"""Each answer takes a password's hash, some 60 ms by design."""

schema = schemathesis.openapi.from_dict(openapi([one for one in _BOUNDED if one.path != _DEAR]))
dear = schemathesis.openapi.from_dict(openapi([one for one in _BOUNDED if one.path == _DEAR]))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A server in a thread (schemathesis is synchronous) and a device's token."""
    installation = Settings(
        data=tmp_path_factory.mktemp("schemathesis"), relay=False, address_rate=0, device_rate=0, sign_in_rate=0
    )

    async def device() -> str:
        async with open_core(installation) as core:
            tenant_id = await core.admin.add_tenant("Bar")
            return (await core.admin.add_device(tenant_id, "Cassa", "owner", "centro")).token

    with start_blocking_portal() as portal:
        token = portal.call(device)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(installation), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", token
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("signed_in", [True, False])
@schema.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_documented(
    case: "schemathesis.Case[Any]", live: tuple[str, str], *, signed_in: bool
) -> None:
    """With a token and without."""
    _answers(case, live, signed_in=signed_in)


@dear.parametrize()
@settings(max_examples=5, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_what_hashes_answers_as_documented_too(case: "schemathesis.Case[Any]", live: tuple[str, str]) -> None:
    """A few times, without a token."""
    _answers(case, live, signed_in=False)


def _answers(case: "schemathesis.Case[Any]", live: tuple[str, str], *, signed_in: bool) -> None:
    url, token = live
    headers = {"Authorization": f"Bearer {token}"} if signed_in else {}
    response = case.call(base_url=url, headers=headers)
    assert response.status_code < 500
    case.validate_response(response, excluded_checks=_NOT_OURS)
