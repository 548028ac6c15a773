"""What other software than SDI's own would write, and still says all that is needed: taken in, never refused."""

import re

from server.ports import Account
from server.providers.sdi.receipts import receipt_draft
from tests.sending.test_coop_messages import delivered, encoded, heard
from tests.support.sdi_desk import message, mtom
from tests.support.shop import TIMESTAMP


def test_the_message_is_found_however_its_part_is_named() -> None:
    """By `start`, by one that names nothing, or because it stands first; with no headers at all, too."""
    content_type, body = mtom(delivered(b"file", b"meta"), b"file", b"meta")
    whole = heard(body, content_type)
    first = 'Multipart/Related; boundary="=_b"'
    assert [heard(body, f"{first}{start}") for start in ("", '; start="<nobody@x>"')] == [whole, whole]
    assert heard(re.sub(rb"^--=_b\r\n.*?\r\n\r\n", b"--=_b\r\n\r\n", body, flags=re.DOTALL), first) == whole


def test_no_file_is_refused_for_what_only_goes_with_it() -> None:
    """Metadata that nobody can read are none, blank lines before a message are nothing, and a name is only a hint."""
    damaged = delivered(b"file", b"meta").replace(encoded(b"meta").encode(), b"*")
    assert (heard(b"\r\n" + damaged).content(), heard(damaged).metadata) == (b"file", None)
    unnamed = delivered(b"file").replace(b"<NomeFile>IT", "<NomeFile>Fattura n° ".encode())
    assert heard(unnamed).file_name == "Fattura_n__01234567890_00001.xml"


def test_a_receipt_may_hold_what_ends_an_instruction() -> None:
    """And begin without a declaration."""
    plain = message("RicevutaConsegna", "IT01234567890_R0001.xml", 1)
    held = re.sub(rb"^<\?xml.*?\?>\s*", b"", plain).replace(b"</NomeFile>", b"</NomeFile><!-- ?> -->")
    assert b"?>" in held
    said = receipt_draft(held, "1", Account("t", "e", {}, {}), TIMESTAMP)
    assert said.fields["sdi_status"] == "delivered"
