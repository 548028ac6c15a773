"""The stage: every process the story needs, set up through the command line as the shop's owner would."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc

from tests.demo.client import Orders
from tests.demo.machines import ClientProcess, Installation, clients_running
from tests.demo.meters import Meters
from tests.demo.narrator import Narrator
from tests.demo.observer import Observer
from tests.demo.outside import KIOSK_SECRET
from tests.demo.proxy import Proxy
from tests.support.intermediary import Intermediary, intermediary_process
from tests.support.processes import ServerProcess
from tests.support.receiver import SECRET, Receiver, receiver_process

TILLS = ("till-1", "till-2")
PHONE = "phone"
CLIENTS = (*TILLS, PHONE)
VOID_EVERY = 25
SHOP = "centro"
OFFICE = "office"
_SHOP_DELAY_S = 0.05
"""A telephone's network; without it a fast machine would be done before anything could go wrong."""
_ROLES = {**dict.fromkeys(TILLS, "terminal"), PHONE: "owner", OFFICE: "owner"}


@dataclass(frozen=True)
class Plan:
    """What is to be played: so many sales on each till; the seed picks goods, and what goes wrong."""

    seed: int = 1
    sales: int = 500
    database_url: str | None = None

    @property
    def total(self) -> int:
        """Sales of all tills."""
        return self.sales * len(TILLS)

    @property
    def voids(self) -> int:
        """How many of them are voided."""
        return self.sales // VOID_EVERY * len(TILLS)

    @property
    def sales_in_all(self) -> int:
        """With the kiosk's."""
        return self.total + 1

    @property
    def deliveries(self) -> int:
        """What the provider is to be told: each sale, and each void."""
        return self.sales_in_all + self.voids

    @property
    def batch(self) -> int:
        """Mutations a request, so that a short run has many requests too."""
        return max(self.sales // 20, 5)


@dataclass(frozen=True)
class Stage:
    """Everybody who plays. The lines fail; what goes by them is clients to server, and server to provider."""

    plan: Plan
    folder: Path
    narrator: Narrator
    installation: Installation
    server: ServerProcess
    provider: Receiver
    intermediary: Intermediary
    shop_line: Proxy
    provider_line: Proxy
    clients: Mapping[str, ClientProcess]
    tokens: Mapping[str, str]
    tenant_id: str
    webhooks: Mapping[str, str]
    meters: Meters


@asynccontextmanager
async def open_stage(plan: Plan, folder: Path, narrator: Narrator) -> AsyncIterator[Stage]:
    """Set everything up; all processes end with the block."""
    installation = Installation(folder, plan.database_url)
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(installation.serving())
        provider = await opened.enter_async_context(receiver_process(folder))
        intermediary = await opened.enter_async_context(intermediary_process(folder))
        tasks = await opened.enter_async_context(anyio.create_task_group())
        opened.callback(tasks.cancel_scope.cancel)
        lines = await _lines(tasks, {server.url: _SHOP_DELAY_S, provider.process.url: 0}, plan.seed)
        narrator.say(
            "a server, a provider and an intermediary run; `rientro` sets up a shop with two tills and a phone"
        )
        tenant_id = (await installation.command("tenant", "add", "Bar Dimostrazione"))["tenant_id"]
        tokens = await _add_devices(installation, tenant_id)
        webhooks = await _add_providers(installation, tenant_id, lines[1].url, intermediary)
        narrator.say(
            "the command line has set up a shop with two tills, a phone, and accounts at those two and at a kiosk"
        )
        clients = _clients(plan, folder, lines[0].url, tokens)
        await opened.enter_async_context(clients_running(*clients.values()))
        observer = await opened.enter_async_context(Observer(server.url, tokens[OFFICE]))
        meters = Meters(folder, CLIENTS, observer, narrator.show)
        tasks.start_soon(meters.run)
        yield Stage(
            plan=plan,
            folder=folder,
            narrator=narrator,
            installation=installation,
            server=server,
            provider=provider,
            intermediary=intermediary,
            shop_line=lines[0],
            provider_line=lines[1],
            clients=clients,
            tokens=tokens,
            tenant_id=tenant_id,
            webhooks={name: server.url + path for name, path in webhooks.items()},
            meters=meters,
        )


async def _lines(tasks: anyio.abc.TaskGroup, delays: Mapping[str, float], seed: int) -> list[Proxy]:
    """Lines to these addresses; they are smooth at first."""
    lines = [Proxy(urlsplit(url).port or 0, seed, rough=False, delay_s=delay_s) for url, delay_s in delays.items()]
    for line in lines:
        await tasks.start(line.serve)
    return lines


async def _add_devices(installation: Installation, tenant_id: str) -> Mapping[str, str]:
    """Tokens by name."""
    tokens: dict[str, str] = {}

    async def add(name: str, role: str) -> None:
        options = ("--tenant", tenant_id, "--name", name, "--role", role, "--shop", SHOP)
        tokens[name] = (await installation.command("device", "add", *options))["token"]

    async with anyio.create_task_group() as tasks:
        for name, role in _ROLES.items():
            tasks.start_soon(add, name, role)
    return tokens


async def _add_providers(
    installation: Installation, tenant_id: str, provider_url: str, intermediary: Intermediary
) -> Mapping[str, str]:
    """Webhook paths by provider."""
    paths: dict[str, str] = {}

    async def add(provider: str, settings: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        named = ("--tenant", tenant_id, "--provider", provider, "--name", provider)
        options = _options(installation.folder, provider, settings, secrets)
        paths[provider] = (await installation.command("provider", "add", *named, *options))["webhook_path"]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(
            add, "http", {"url": f"{provider_url}/hook", "timeout": "2", "breaker_cap": "2"}, {"secret": SECRET}
        )
        tasks.start_soon(add, "pos", {"shop": SHOP}, {"secret": KIOSK_SECRET})
        tasks.start_soon(add, "sdi", {"base_url": f"{intermediary.process.url}/v1"}, intermediary.secrets)
    return paths


def _options(folder: Path, provider: str, settings: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Settings as the command line takes them: secrets by file, for arguments are everybody's to see."""
    given = [f"{name}={value}" for name, value in settings.items()]
    for name, secret in secrets.items():
        file = folder / f"{provider}.{name}"
        file.touch(0o600)
        file.write_text(secret)
        given.append(f"{name}=@{file}")
    return [option for setting in given for option in ("--set", setting)]


def _clients(plan: Plan, folder: Path, url: str, tokens: Mapping[str, str]) -> dict[str, ClientProcess]:
    return {
        name: ClientProcess(folder, Orders(name, str(folder / f"{name}.db"), url, tokens[name], plan.seed, plan.batch))
        for name in CLIENTS
    }
