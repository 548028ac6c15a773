"""Where secrets come from: the environment, a folder, a command; in this order, and never a silent nothing."""

import sys
from pathlib import Path

import pytest

from server.settings import Settings, SettingsError

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "DATABASE_URL", "SECRETS_DIR", "SECRET_COMMAND"):
        monkeypatch.delenv(f"RIENTRO_{name}", raising=False)


def told() -> tuple[str | None, str | None]:
    """The two secrets."""
    settings = Settings()
    assert KEY not in repr(settings)
    key, url = settings.secret_key, settings.database_url
    return key.get_secret_value() if key else None, url.get_secret_value() if url else None


def command(code: str) -> str:
    """A secrets manager, `{name}` and all."""
    return f"""{sys.executable} -c "{code}" {{name}}"""


def test_a_folder_holds_one_secret_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As containers mount them; the environment comes first."""
    (tmp_path / "secret_key").write_text(KEY + "\n")
    (tmp_path / "database_url").write_text("postgresql+asyncpg://u:p@h/d\n")
    monkeypatch.setenv("RIENTRO_SECRETS_DIR", str(tmp_path))
    assert told() == (KEY, "postgresql+asyncpg://u:p@h/d")
    monkeypatch.setenv("RIENTRO_SECRET_KEY", OTHER)
    assert told()[0] == OTHER


def test_a_command_is_asked_for_what_no_other_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By name; printing nothing means that there is none."""
    code = "import sys; print({'secret_key': '" + KEY + "'}.get(sys.argv[1], ''))"
    monkeypatch.setenv("RIENTRO_SECRET_COMMAND", command(code))
    assert told() == (KEY, None)
    (tmp_path / "secret_key").write_text(OTHER)
    monkeypatch.setenv("RIENTRO_SECRETS_DIR", str(tmp_path))
    assert told() == (OTHER, None)


def test_a_command_without_a_name_gives_the_master_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pass show rientro` will do; a shell is never run."""
    monkeypatch.setenv("RIENTRO_SECRET_COMMAND", f"printf %s {KEY};echo")
    assert told() == (f"{KEY};echo", None)


@pytest.mark.parametrize("broken", ["false", "/nowhere/at-all", "'", command("print('geheim'); raise SystemExit(2)")])
def test_a_command_that_fails_stops_the_start(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A locked password store is not an empty one: a new key in its place would lose everything sealed."""
    monkeypatch.setenv("RIENTRO_SECRET_COMMAND", broken)
    with pytest.raises(SettingsError, match="RIENTRO_SECRET_COMMAND gave no secret_key") as raised:
        Settings()
    assert "geheim" not in str(raised.value)


def test_a_folder_that_is_not_there_or_an_empty_file_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mount that failed must not look like a choice."""
    monkeypatch.setenv("RIENTRO_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="there is no folder"):
        Settings()
    monkeypatch.setenv("RIENTRO_SECRETS_DIR", str(tmp_path))
    assert told() == (None, None)
    (tmp_path / "secret_key").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        Settings()
