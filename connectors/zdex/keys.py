"""The account's API keys, by the token of a session: the venue lets no key ask for keys (vendor docs).

Of an end the docs say only that a key can have one: that it is sent and listed as `expiresAt` is an *assumption*.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from connectors.client.rest import open_rest
from connectors.client.usual.keys import KeyList, ListedKeys, sign_by_session
from connectors.client.wire.address import is_loopback
from connectors.client.wire.keys import Right
from connectors.client.wire.rows import Row
from connectors.zdex.settings import ZdexSettings
from connectors.zdex.sign import ERRORS
from connectors.zdex.wire.decode import VERDICTS
from framework.domain.ports import Clock, Rng
from framework.domain.venue import KeyTerms, KeyVerb

_REMEDY = "log in on the venue's website, write its token to a file (mode 0600), and name it: --token-file FILE"
_TERMS = KeyTerms(
    verbs=frozenset(KeyVerb) - {KeyVerb.GENERATE},
    scopes={"READ_ONLY": frozenset({Right.READ}), "TRADE": frozenset({Right.TRADE}), "WITHDRAW": frozenset(Right)},
    label_chars_max=50,
    keys_max=5,
    takes_ip_list=True,
    takes_networks=False,
    takes_expiry=True,
    assumptions={"expires": "the end of a key is sent as expiresAt, in milliseconds since 1970"},
)


class _Page(msgspec.Struct):
    keys: tuple[Row, ...]


_LIST = KeyList(
    terms=_TERMS,
    page=_Page,
    next_page=lambda *_: None,
    words={
        "id": "id", "label": "label", "key": "keyPrefix", "scopes": "permissions", "ip_list": "ipWhitelist",
        "is_active": "isActive", "created_ns": "createdAt", "used_ns": "lastUsedAt", "expires_ns": "expiresAt",
    },
    made={"id": "id", "key": "apiKey", "secret": "secretKey"},
)  # fmt: skip


def key_admin(
    name: str, settings: ZdexSettings, *, clock: Clock, rng: Rng, proxy: str = "", session_path: Path | None = None
) -> ListedKeys:
    """The keys of the account, with the session's token in `session_path`, else in the file that the settings name.
    Raises `ConfigurationError` where there is none, and for one that can't be used."""
    path, field = (
        (session_path, "--token-file") if session_path else (settings.session_token_path, "session_token_path")
    )
    sign = sign_by_session(path, field, remedy=_REMEDY)
    verdicts = msgspec.structs.replace(VERDICTS, credential="the session's token", remedy=_REMEDY)
    rest = open_rest(
        "zdex", settings, lambda _time: sign, verdicts=verdicts, parse_error=ERRORS.read, unsigned=frozenset(),
        clock=clock, rng=rng, proxy=proxy,
    )  # fmt: skip
    return ListedKeys(name, rest, _LIST, own_key=settings.key_id, is_loopback=is_loopback(settings.rest_url))
