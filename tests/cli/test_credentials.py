"""`rientro secrets` and `rientro provider key`: a rotation in real processes, the rest by the functions they call."""

from pathlib import Path

import pytest
import typer

from server.app import open_core
from server.cli.common import settings_for
from server.cli.providers import _moment, _secret
from server.settings import Settings
from tests.cli.commands import rientro_json
from tests.support.receiver import SECRET


async def test_a_key_is_replaced_and_the_master_key_rotated(tmp_path: Path) -> None:
    """Then nothing opens with the old master key, and everything with the new one."""
    async with open_core(Settings(data=tmp_path)) as core:
        tenant_id = await core.admin.add_tenant("Bar Sport")
        values = {"url": "https://example.org/in", "secret": SECRET}
        endpoint_id = (await core.endpoints.add(tenant_id, "http", "Ufficio", values)).endpoint_id
        old = (tmp_path / "secret.key").read_text().strip()
        place = ("--tenant", tenant_id, "--endpoint", endpoint_id)
        wanted = ("--name", "api_key", "--next", "-", "--every-days", "9")
        assert rientro_json(tmp_path, "provider", "key", "set", *place, *wanted, given="k-1")["name"] == "api_key"
        (rotated,) = rientro_json(tmp_path, "secrets", "rotate")
        assert (rotated["sealed_anew"], rotated["unreadable"]) == (1, 0)
        await core.credentials.rotation.drop_old([tenant_id])
        (line,) = rientro_json(tmp_path, "provider", "list", "--tenant", tenant_id)
        assert line["attention"].startswith("api_key replace 2")
        assert old not in (tmp_path / "secret.key").read_text()


def test_a_secret_never_stands_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where other users of the machine could read it."""
    (tmp_path / "key").write_text("k-1\n")
    assert _secret(f"@{tmp_path / 'key'}") == "k-1"
    for wrong, says in (("k-1", "never on the command line"), (f"@{tmp_path / 'none'}", "there is no file")):
        with pytest.raises(typer.Exit):
            _secret(wrong)
        assert says in capsys.readouterr().err


def test_a_time_is_read_in_any_zone_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Without one it is UTC."""
    assert (
        _moment("2026-12-01T01:00+01:00") == _moment("2026-12-01T00:00") == _moment("2026-12-01") == 1_796_083_200_000
    )
    with pytest.raises(typer.Exit):
        _moment("tomorrow")
    assert "--from takes a time" in capsys.readouterr().err


def test_a_secret_that_cannot_be_had_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every command, `serve` too."""
    monkeypatch.setenv("RIENTRO_SECRET_COMMAND", "false")
    with pytest.raises(typer.Exit):
        settings_for(None)
    assert "gave no secret_key" in capsys.readouterr().err
