"""Signatures of both dialects: an HMAC of every private request, and one of the wallet or the agent of each action.

Both texts are documented and were checked with other programs (`tests/connectors/kalqix/test_sign.py`). That the path
in the HMAC's text begins at the root of the host ("/v1/orders") is an *assumption* that both known clients share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from connectors.client.gateway import digest_of
from connectors.client.request_clock import RequestClock
from connectors.client.rest import Sign, SignedRest, open_rest, request_of
from connectors.client.secret_file import read_private_key, read_secret_text
from connectors.client.venue_time import VenueTime
from connectors.client.wire.address import path_of
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey, canonical_json, plain_query
from connectors.client.wire.wallet_sign import WalletKey
from connectors.kalqix.dialect import DIALECTS, VERDICTS, Dialect, parse_error
from connectors.kalqix.settings import KalqixSettings
from connectors.transport.ports import HttpRequest
from framework.domain.errors import ConfigurationError
from framework.domain.mass_cancel import Stamps
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits

TRADING = ("PLACE_ORDER", "CANCEL_ORDER", "CANCEL_ALL_ORDERS")
"""The actions that a key signs for a strategy. Those that take money out (TRANSFER, WITHDRAW) are none of them."""

STAMP_MARGIN_MS = 500
"""So far behind the venue's time, at its earliest, requests are stamped: one of the future is refused."""

_PUBLIC = ("/markets", "/time", "/ping")
_UNSIGNED_FIELDS = frozenset({"client_order_id"})
_PATH_FIELDS = frozenset({"action", "order_id"})

SignAction = Callable[[Mapping[str, str | int]], str]
"""Signs an action's fields with a key that may. Raises `ValueError` for an action that it may not."""


def wallet_signer(key: WalletKey) -> SignAction:
    """Dialect A: `personal_sign` (EIP-191) by the account's wallet."""
    return lambda fields: key.sign_eip191(dict(fields))


def agent_signer(key: WalletKey) -> SignAction:
    """Dialect B: BIP-340 over the text itself, by an agent's key."""
    return lambda fields: key.sign_bip340(dict(fields))


def signing(
    dialect: Dialect, api_key: str, secret: HmacKey, sign_action: SignAction, stamps: RequestClock, *, prefix: str
) -> Sign:
    """Signs a request; `prefix` is the path that all targets begin with. What is public goes without a signature.

    The body of a `Call` is the action as JSON, without the time and the signature that it gets here. An action and its
    request have one stamp, as in the vendor's samples.
    """

    def sign(call: Call) -> HttpRequest:
        if call.target.removeprefix(prefix).startswith(_PUBLIC):
            return request_of(call)
        stamp = stamps.next_ms()
        ready = _with_action(dialect, call, stamp, sign_action) if call.body else call
        signature = secret.hex(hmac_text(dialect, ready, stamp))
        headers = (("x-api-key", api_key), ("x-api-signature", signature), ("x-api-timestamp", str(stamp)))
        return request_of(ready, headers)

    return sign


def hmac_text(dialect: Dialect, call: Call, stamp_ms: int) -> bytes:
    """What the HMAC is of: method, path, body and time; A has the query with the path as it is sent, B by itself,
    sorted and decoded."""
    path, _, query = call.target.partition("?")
    if dialect.has_agents:
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        place = f"{path}|{'&'.join(f'{name}={value}' for name, value in pairs)}"
    else:
        place = call.target
    return f"{call.method}|{place}|".encode() + call.body + f"|{stamp_ms}".encode()


def sent_as(request: HttpRequest) -> str:
    """What a new order is known by (`OrderCodec.digest`): the SHA-256 of its wallet signature, which the venue's lists
    of orders show. Of everything else the usual digest."""
    signature = _BODY.decode(request.body).get("signature") if request.body else None
    return digest_of(request) if signature is None else signature_digest(signature)


def signature_digest(signature: str) -> str:
    """The SHA-256 of a signature's text, in small letters."""
    return hashlib.sha256(signature.lower().encode()).hexdigest()


def open_account(
    settings: KalqixSettings, sign_action: SignAction, *, clock: Clock, rng: Rng, proxy: str,
    turn: TakeTurn = no_limits, stamps: Stamps | None = None,
) -> SignedRest:  # fmt: skip
    """The REST of an account whose actions are signed so; no connection is opened yet.

    Raises `ConfigurationError` when the API key's secret can't be used.
    """
    dialect, prefix = DIALECTS[settings.dialect], path_of(settings.rest_url)
    secret = HmacKey(read_secret_text(settings.api_secret_path, "api_secret_path").encode())

    def sign_with(time: VenueTime) -> Callable[[Call], HttpRequest]:
        request_clock = RequestClock(time, margin_ms=STAMP_MARGIN_MS, stamps=stamps)
        return signing(dialect, settings.key_id, secret, sign_action, request_clock, prefix=prefix)

    return open_rest(
        "kalqix", settings, sign_with, verdicts=VERDICTS, parse_error=parse_error, unsigned=frozenset({"/time"}),
        clock=clock, rng=rng, proxy=proxy, turn=turn,
    )  # fmt: skip


def signer_of(settings: KalqixSettings) -> tuple[SignAction, str]:
    """What signs a strategy's actions, and the wallet's address: the wallet in A, an agent in B, where that is empty.

    Raises `ConfigurationError` when the key can't be used, and when the library that signs is missing.
    """
    if settings.dialect == "b" and settings.agent_key_path is not None:
        return agent_signer(WalletKey(read_private_key(settings.agent_key_path, "agent_key_path"), TRADING)), ""
    wallet = wallet_of(settings, TRADING)
    return wallet_signer(wallet), wallet.address


def wallet_of(settings: KalqixSettings, actions: Sequence[str]) -> WalletKey:
    """The account's wallet, for these actions. Raises `ConfigurationError` when its key is not set or can't be used."""
    if settings.wallet_key_path is None:
        raise ConfigurationError("wallet_key_path is not set; name the file of the account wallet's private key")
    return WalletKey(read_private_key(settings.wallet_key_path, "wallet_key_path"), actions)


def _with_action(dialect: Dialect, call: Call, stamp_ms: int, sign_action: SignAction) -> Call:
    """The request with its action signed: in the body of a POST or PUT, in the query of a DELETE."""
    fields = _BODY.decode(call.body) | {"timestamp": stamp_ms}
    signature = sign_action({name: value for name, value in fields.items() if name not in _UNSIGNED_FIELDS})
    if call.method != "DELETE":
        kept = fields if dialect.has_agents else {name: one for name, one in fields.items() if name != "action"}
        return msgspec.structs.replace(call, body=canonical_json(kept | {"signature": signature}))
    # The vendor's samples have them in this order; B's has the order in the path alone.
    dropped = _PATH_FIELDS if dialect.has_agents else {"action"}
    params = [(name, value) for name, value in fields.items() if name not in dropped]
    query = plain_query([*params, ("signature", signature)])
    return msgspec.structs.replace(call, target=f"{call.target}?{query}", body=b"")


_BODY = msgspec.json.Decoder(dict[str, Any])
