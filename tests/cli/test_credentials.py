"""`rientro secrets` and `rientro provider key`: a rotation in real processes, the rest by the functions they call."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from server.app import open_core
from server.cli.common import parse_moment, settings_for
from server.cli.providers import _secret
from server.cli.secrets import app as secrets
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


def test_the_old_master_key_is_not_forgotten_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For it is what older backups open with; who says no has changed nothing."""
    monkeypatch.setenv("RIENTRO_DATA", str(tmp_path))
    asked = CliRunner().invoke(secrets, ["drop-old"], input="n\n")
    assert asked.exit_code == 1
    assert "Backups made before the rotation will not open their secrets any more" in asked.output
    assert list(tmp_path.iterdir()) == []


def test_a_secret_never_stands_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where other users of the machine could read it."""
    (tmp_path / "key").write_text("k-1\n")
    assert _secret(f"@{tmp_path / 'key'}") == "k-1"
    for wrong, says in (("k-1", "never on the command line"), (f"@{tmp_path / 'none'}", "there is no file")):
        with pytest.raises(typer.Exit):
            _secret(wrong)
        assert says in capsys.readouterr().err


def test_a_time_is_read_in_any_zone_or_refused() -> None:
    """Without one it is UTC."""
    same = ("2026-12-01T01:00+01:00", "2026-12-01T00:00", "2026-12-01")
    assert {parse_moment(text) for text in same} == {1_796_083_200_000}
    with pytest.raises(typer.BadParameter, match="write 2026-11-24"):
        parse_moment("tomorrow")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"METRICS_TOKEN": "shorttoken1"}, "RIENTRO_METRICS_TOKEN: "),
        ({"ALERT_URL": "https://example.org"}, "needs RIENTRO_ALERT_SECRET"),
        ({"ALERT_URL": "https://example.org", "ALERT_SECRET": "shorttoken1"}, "is not of the form whsec_"),
        ({"ALERT_URL": "http://example.org/shorttoken1", "ALERT_SECRET": SECRET}, "takes an https:// address"),
        ({"LEASE_S": "shorttoken1"}, "RIENTRO_LEASE_S: "),
    ],
    ids=str,
)
def test_a_setting_that_does_not_fit_is_named_and_never_quoted(
    settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be a secret."""
    for name, value in settings.items():
        monkeypatch.setenv(f"RIENTRO_{name}", value)
    with pytest.raises(typer.Exit):
        settings_for(None)
    told = capsys.readouterr().err
    assert said in told
    assert "shorttoken1" not in told


def test_alerts_and_metrics_take_their_secrets_from_the_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is not asked for them: it need not know any."""
    (tmp_path / "alert_secret").write_text(SECRET)
    (tmp_path / "metrics_token").write_text("a-token-of-a-scraper\n")
    monkeypatch.setenv("RIENTRO_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("RIENTRO_ALERT_URL", "https://example.org/in")
    found = settings_for(None)
    assert found.alert_secret is not None
    assert found.metrics_token is not None
    assert (found.alert_secret.get_secret_value(), found.metrics_token.get_secret_value()) == (
        SECRET,
        "a-token-of-a-scraper",
    )


def test_a_secret_that_cannot_be_had_is_said_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every command, `serve` too."""
    monkeypatch.setenv("RIENTRO_SECRET_COMMAND", "false")
    with pytest.raises(typer.Exit):
        settings_for(None)
    assert "gave no secret_key" in capsys.readouterr().err
