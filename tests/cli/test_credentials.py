"""`rientro secrets` and `rientro provider key`, in real processes."""

from pathlib import Path

from tests.cli.commands import rientro, rientro_json

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_key_is_replaced_and_the_master_key_rotated(tmp_path: Path) -> None:
    """From a file or standard input, never from the command line; then nothing opens with the old master key."""
    tenant = ("--tenant", rientro_json(tmp_path, "tenant", "add", "Bar")["tenant_id"])
    settings = ("--set", "url=https://example.org/in", "--set", "secret=-")
    made = rientro_json(
        tmp_path, "provider", "add", *tenant, "--provider", "http", "--name", "U", *settings, given=SECRET
    )
    replace = ("provider", "key", "set", *tenant, "--endpoint", made["endpoint_id"], "--name", "api_key")
    shown = rientro(tmp_path, *replace, "--next", "k-1")
    assert (shown.returncode, "never on the command line" in shown.stderr) == (1, True)
    assert rientro_json(tmp_path, *replace, "--next", "-", "--every-days", "9", given="k-1")["name"] == "api_key"
    (line,) = rientro_json(tmp_path, "provider", "list", *tenant)
    assert line["attention"].startswith("api_key replace 2")
    before = (tmp_path / "secret.key").read_text().strip()
    assert rientro(tmp_path, "secrets", "drop-old").returncode == 0
    (rotated,) = rientro_json(tmp_path, "secrets", "rotate")
    assert (rotated["sealed_anew"], rotated["unreadable"]) == (1, 0)
    assert rientro_json(tmp_path, "secrets", "drop-old") == {"dropped": True}
    assert before not in (tmp_path / "secret.key").read_text()


def test_where_nothing_can_be_done_it_is_said_in_a_line(tmp_path: Path) -> None:
    """A command that fails, an account that needs no consent."""
    tenant = rientro_json(tmp_path, "tenant", "add", "Bar")["tenant_id"]
    connect = rientro(tmp_path, "provider", "connect", "--tenant", tenant, "--endpoint", tenant)
    locked = rientro(tmp_path, "tenant", "list", RIENTRO_SECRET_COMMAND="false")
    for done, says in ((connect, "no such account"), (locked, "gave no secret_key")):
        assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (1, True, False)
