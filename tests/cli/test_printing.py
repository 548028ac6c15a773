"""What the command line prints is what was stored, whatever somebody put into it."""

import json

import pytest

from server.cli.common import show_one, show_rows

HOSTILE = "[/red] caffè \ud83d"


def test_brackets_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """A customer's note in square brackets neither fails nor disappears."""
    show_rows("Notes", ("note",), [("[/red] [bold]",)], as_json=False)
    show_one({"note": "[/red] [bold]"}, as_json=False)
    assert capsys.readouterr().out.count("[/red] [bold]") == 2


def test_json_holds_what_no_utf_8_can_carry(capsys: pytest.CaptureFixture[str]) -> None:
    """Escaped; anything else stays readable."""
    show_one({"note": HOSTILE}, as_json=True)
    show_one({"note": "caffè"}, as_json=True)
    escaped, readable = capsys.readouterr().out.splitlines()
    assert (json.loads(escaped), "caffè" in readable, escaped.isascii()) == ({"note": HOSTILE}, True, True)


def test_what_a_stranger_wrote_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """No title, no cursor, no colours of theirs; a new line is one."""
    hostile = "\x1b]0;pwned\x07\x1b[2Jcaffè\x9b31m\nfine"
    show_one({"body": hostile}, as_json=False)
    show_rows("Bodies", ("body",), [(hostile,)], as_json=False)
    printed = capsys.readouterr().out
    assert [sign for sign in printed if (sign < " " and sign != "\n") or "\x7f" <= sign < "\xa0"] == []
    assert printed.count("caffè") == 2
