"""The token that Fatture in Cloud sends with a webhook: a JWT, ES256, that names the event and does not cover its body.

So it says who sent it, when, about which company and to which address of ours, and nothing of what the body claims.
"""

from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from server.ports import TOLERANCE_S, Account, WebhookRefusedError, refuse_untimely

ISSUER = "https://api-v2.fattureincloud.it"
LONGEST_S = 24 * 3600
"""Tokens are said to live for three hours; one that would live much longer is none of theirs."""
_LONGEST = 4096
_END = "-----END PUBLIC KEY-----"


def claims_of(account: Account, authorization: str, now_ms: int) -> Mapping[str, Any]:
    """The claims of a token that is theirs, in time, and about our company. Raises WebhookRefusedError."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST:
        raise WebhookRefusedError("unsigned")
    claims = _verified(token.strip(), str(account.settings["webhook_public_key"]))
    issued, expires = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    if claims.get("iss") != account.settings.get("issuer", ISSUER) or not (issued and expires):
        raise WebhookRefusedError("bad_signature")
    if claims.get("sub") != f"company:{account.settings['company_id']}":
        raise WebhookRefusedError("bad_signature")
    _refuse_untimely(issued, expires, now_ms)
    return claims


def is_for(account: Account, claims: Mapping[str, Any]) -> bool:
    """Whether a token's audience is this endpoint's address, at whatever host it is reached by."""
    audience = claims.get("aud")
    told = audience if isinstance(audience, list) else [audience]
    ours = f"/{account.tenant_id.replace('-', '')}.{account.endpoint_id.replace('-', '')}"
    return any(isinstance(one, str) and one.partition("?")[0].rstrip("/").endswith(ours) for one in told)


def load_keys(pem: str) -> list[ECKey]:
    """The public keys in one text: during a change of theirs, the old and the new. Raises ValueError."""
    blocks = [block.strip() for block in pem.split(_END) if block.strip()]
    try:
        keys = [ECKey.import_key(f"{block}\n{_END}\n") for block in blocks]
    except (JoseError, TypeError) as error:
        raise ValueError(str(error)) from None
    if not keys or any(key.is_private or key.curve_name != "P-256" for key in keys):
        raise ValueError("one or more public keys on P-256 are wanted")
    return keys


def _verified(token: str, pem: str) -> Mapping[str, Any]:
    for key in load_keys(pem):
        try:
            return jwt.decode(token, key, algorithms=["ES256"]).claims
        except (JoseError, ValueError, TypeError):
            continue
    raise WebhookRefusedError("bad_signature")


def _seconds(value: object) -> int:
    """A moment in seconds; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**11 else 0


def _refuse_untimely(issued: int, expires: int, now_ms: int) -> None:
    """It is sent again for hours under the same token: good until it expires, and not issued later than now."""
    now_s = now_ms // 1000
    if expires + TOLERANCE_S < now_s or expires - issued > LONGEST_S:
        raise WebhookRefusedError("stale")
    refuse_untimely(max(issued, min(now_s, expires)), now_ms)
