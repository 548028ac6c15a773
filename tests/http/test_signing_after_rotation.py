"""A new master key: what keys sign by is sealed anew, and the same signatures are good as before."""

from server.app import open_core
from server.audit import OPERATOR
from server.auth.keys import Terms
from server.settings import Settings
from server.storage.database import Tx
from server.storage.statement import Statement

_SEALED = Statement("SELECT signing FROM keys WHERE tenant_id = :tenant_id AND key_id = :key_id")


async def test_a_signing_secret_outlives_the_master_key_it_was_sealed_with(settings: Settings) -> None:
    """The old one is dropped only when nothing is sealed with it."""
    async with open_core(settings, migrate=False) as core:
        tenant_id = await core.admin.add_tenant("Bar")
        till = await core.admin.add_device(tenant_id, "Cassa", "terminal", "centro")
        made = await core.access.keys.issue(tenant_id, till.device_id, "Gestionale", Terms(signed=True), OPERATOR)

        async def sealed(tx: Tx) -> str:
            text: str = (await tx.fetch(_SEALED, (tenant_id, made.key_id)))[0][0]
            return text

        before, rotation = await core.database.read(sealed), core.credentials.rotation
        await rotation.begin([tenant_id])
        assert not await rotation.is_done([tenant_id])
        assert await rotation.reseal(tenant_id) == (1, 0)
        after = await core.database.read(sealed)
        assert before != after
        await rotation.drop_old([tenant_id])
        assert core.vault.unseal(tenant_id, "api key", made.key_id, after) == {"signing": made.signing_secret}
