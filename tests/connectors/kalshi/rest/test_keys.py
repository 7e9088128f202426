"""The account's keys: what is sent, and what a refusal means. The whole way is in the tests of the command."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.client.venue_time import VenueTime
from connectors.kalshi.connector import make_connector
from connectors.kalshi.rest.keys import KalshiKeys, kalshi_keys
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.wire.sign import Signer, load_private_key
from framework.domain.errors import ConfigurationError, NotSupported, RefusedByVenue
from framework.domain.venue import KeyForm, KeyRights, ListedKey, MadeKey, Right, UnknownRights
from framework.runtime.clock import SystemClock, system_rng
from tests.connectors.kalshi.support import settings_for
from tests.connectors.support import Answer, LoopClock, ScriptedHttp, run_jumping

OWN = "a4a6f7b0-0000-4000-8000-000000000001"
STATUS = b'{"exchange_active":true,"trading_active":true}'
FORBIDDEN = (403, b'{"error":{"code":"forbidden","message":"forbidden"}}')
MADE = (201, b'{"api_key_id":"k-2","key_type":"ed25519","private_key":"-----BEGIN secret"}')
FORM = KeyForm(label="bot", scopes=("read", "write"), key_type="ed25519")


def listing(*scopes: str) -> Answer:
    own = {"api_key_id": OWN, "name": "mine", "scopes": list(scopes), "subaccount": 3}
    other = {"api_key_id": "k-9", "name": "other", "scopes": ["read"], "is_new_field": 1}
    return 200, json.dumps({"api_keys": [own, other], "api_key_region_expiration_ts": None}).encode()


def at_venue(*scopes: str) -> ScriptedHttp:
    http = ScriptedHttp()
    http.on("GET", "/exchange/status", (200, STATUS))
    http.on("GET", "/api_keys", listing(*scopes))
    return http


def ask(http: ScriptedHttp, folder: Path, question: Callable[[KalshiKeys], Awaitable[object]]) -> object:
    async def main(clock: LoopClock) -> object:
        settings = settings_for(folder)
        signer = Signer(settings.key_id, load_private_key(settings.private_key_path))
        rest = kalshi_rest(http, signer, settings, clock=clock, time=VenueTime(clock))
        keys = KalshiKeys("kalshi", rest, settings)
        await keys.list_keys()
        return await question(keys)

    return run_jumping(main)


def test_list_when_read_then_the_own_key_is_known_and_unknown_members_are_left_out(tmp_path: Path) -> None:
    assert ask(at_venue("read", "write"), tmp_path, lambda keys: keys.list_keys()) == (
        ListedKey(id=OWN, label="mine", scopes=("read", "write"), subaccount=3, is_own=True),
        ListedKey(id="k-9", label="other", scopes=("read",)),
    )


def test_generate_when_asked_then_the_body_is_the_documented_one_and_the_secret_is_in_no_repr(tmp_path: Path) -> None:
    http = at_venue("read", "write")
    http.on("POST", "/api_keys/generate", MADE)
    made = ask(http, tmp_path, lambda keys: keys.generate_key(FORM))
    assert made == MadeKey(id="k-2", secret="-----BEGIN secret")
    assert "secret" not in repr(made)
    request = http.requests[-1]
    assert request.target == "/trade-api/v2/api_keys/generate"
    assert json.loads(request.body) == {"name": "bot", "scopes": ["read", "write"], "key_type": "ed25519"}


def test_revoke_when_asked_then_the_id_is_one_part_of_the_path(tmp_path: Path) -> None:
    http = at_venue("read", "write")
    http.on("DELETE", "/api_keys/k%2F9", (204, b""))
    ask(http, tmp_path, lambda keys: keys.revoke_key("k/9"))
    assert http.targets("DELETE") == ["/trade-api/v2/api_keys/k%2F9"]


@pytest.mark.parametrize(
    ("scopes", "limits", "says"),
    [
        (("read",), FORBIDDEN, "the key of venues.kalshi may not change keys, its scopes are read; use one with write"),
        (("read", "write"), FORBIDDEN, "this account's is not known; have the venue make the pair"),
    ],
)
def test_create_when_it_is_forbidden_then_the_reason_is_looked_for(
    tmp_path: Path, scopes: tuple[str, ...], limits: Answer, says: str
) -> None:
    http = at_venue(*scopes)
    http.on("POST", "/api_keys", FORBIDDEN)
    http.on("GET", "/account/limits", limits)
    form = KeyForm(label="own", scopes=("read",), public_key=public_pem())
    with pytest.raises(RefusedByVenue, match="forbidden") as raised:
        ask(http, tmp_path, lambda keys: keys.create_key(form))
    assert says in str(raised.value)


def test_keys_when_the_venue_does_not_offer_it_or_the_scopes_do_not_fit_then_nothing_is_sent(tmp_path: Path) -> None:
    http = at_venue("read", "write")
    with pytest.raises(NotSupported, match="make another and revoke this one"):
        ask(http, tmp_path, lambda keys: keys.update_key("k-9", FORM))
    with pytest.raises(ConfigurationError, match="write needs read"):
        ask(http, tmp_path, lambda keys: keys.generate_key(KeyForm(label="x", scopes=("write",))))
    assert {request.method for request in http.requests} == {"GET"}


@pytest.mark.parametrize(
    ("answer", "rights"),
    [
        (listing("read", "write"), KeyRights(frozenset({Right.READ, Right.TRADE}), ("read", "write"))),
        (listing("read", "write::trade"), KeyRights(frozenset({Right.READ, Right.TRADE}), ("read", "write::trade"))),
        (listing("read"), KeyRights(frozenset({Right.READ}), ("read",))),
        ((200, b'{"api_keys":[]}'), UnknownRights()),
        (FORBIDDEN, UnknownRights()),
        ((200, b'{"api_keys":[{"api_key_id":7}]}'), UnknownRights()),
    ],
)
def test_rights_when_asked_then_they_are_what_the_venue_lists_of_the_own_key_else_unknown(
    tmp_path: Path, answer: Answer, rights: KeyRights | UnknownRights
) -> None:
    http = at_venue()
    http.on("GET", "/api_keys", answer)

    async def main(clock: LoopClock) -> object:
        connector = make_connector("kalshi", settings_for(tmp_path), clock=clock, rng=system_rng(), http=http)
        return await connector.key_rights()

    assert run_jumping(main) == rights


def test_keys_when_the_private_key_is_missing_then_it_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, private_key_path=tmp_path / "no.pem")
    with pytest.raises(ConfigurationError, match=r"private_key_path=.*no\.pem"):
        kalshi_keys("kalshi", settings, clock=SystemClock(), rng=system_rng())


def public_pem() -> str:
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return Ed25519PrivateKey.generate().public_key().public_bytes(*form).decode()
