"""The page of settings says what there is, and nothing else."""

import re
from pathlib import Path

from pydantic.fields import FieldInfo

from server.settings import Settings

PAGE = Path(__file__).parents[1] / "claude" / "settings.md"
ROW = re.compile(r"^\| `RIENTRO_([A-Z_]+)` \| (?:`([^`]*)`)? ?\| (.*) \|$", re.MULTILINE)
_ELSEWHERE = {"secret_key"}
"""Shown by where it comes from when it is not set."""


def test_every_setting_is_on_its_page_with_its_default() -> None:
    """In the order of nobody: each once; what is secret is called so."""
    rows = {name.lower(): (default, text) for name, default, text in ROW.findall(PAGE.read_text())}
    assert rows.keys() == Settings.model_fields.keys()
    wrong = [name for name, (default, _) in rows.items() if default != _shown(name, Settings.model_fields[name])]
    assert wrong == []
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {name for name, (_, text) in rows.items() if text.startswith("*secret*")} == secret


def _shown(name: str, field: FieldInfo) -> str:
    if name in _ELSEWHERE:
        return "data/secret.key"
    value = "" if field.default is None else str(field.default)
    return value.lower() if isinstance(field.default, bool) else value
