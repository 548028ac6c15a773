"""Who may write what: the roles of a shop, as collections name them."""

from collections.abc import Mapping

from sync.collection import EVERYTHING, WRITE_ONLY, Op

ROLES = ("owner", "clerk", "terminal")

STAFF: Mapping[str, frozenset[Op]] = {"owner": EVERYTHING, "clerk": EVERYTHING, "terminal": WRITE_ONLY}
"""Everybody writes; a till deletes nothing."""

MANAGED: Mapping[str, frozenset[Op]] = {"owner": EVERYTHING, "clerk": EVERYTHING, "terminal": frozenset()}
"""People write; a till only reads."""

ISSUING: Mapping[str, frozenset[Op]] = dict.fromkeys(ROLES, WRITE_ONLY)
"""Everybody may ask for one, and ask again; nobody deletes one."""

READ_MARK: Mapping[str, frozenset[Op]] = {"owner": frozenset(("update",)), "clerk": frozenset(("update",))}
"""The server writes; people may touch the one field that is theirs."""

CONFLICTS: Mapping[str, frozenset[Op]] = {role: frozenset(("update",)) for role in ROLES}
"""Whoever sees one may decide it: its bucket holds only those who may write the field."""

NOBODY: Mapping[str, frozenset[Op]] = {}
"""The server alone writes; people read."""
