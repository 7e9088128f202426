"""The account's API keys: listed, made and deleted (vendor docs; what else is assumed says so)."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.client.rest import SignedRest, make_breaker, open_transport
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.keys import Right
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.queries import kalshi_rest
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire.account_messages import CreatedKey, RestApiKey
from connectors.kalshi.wire.sign import Signer, load_private_key
from framework.domain.errors import AccountRefused, ConfigurationError, NotSupported, RefusedByVenue, Retryable
from framework.domain.ports import Clock, Rng
from framework.domain.venue import KeyForm, KeyTerms, KeyVerb, ListedKey, MadeKey

SCOPES = {
    "read": frozenset({Right.READ}),
    "read::portfolio_balance": frozenset[Right](),
    "read::block_trade_accept": frozenset[Right](),
    "write": frozenset({Right.READ, Right.TRADE}),
    "write::trade": frozenset({Right.TRADE}),
    "write::transfer": frozenset[Right](),
    "write::fcm_risk": frozenset[Right](),
    "write::block_trade_accept": frozenset[Right](),
}
"""The venue's scopes (vendor docs). None withdraws: its API has no such request; a transfer stays in the account."""

KEY_TERMS = KeyTerms(
    verbs=frozenset({KeyVerb.LIST, KeyVerb.CREATE, KeyVerb.GENERATE, KeyVerb.REVOKE}),
    scopes=SCOPES,
    # Not documented: long enough for a name, and short enough for a table.
    label_chars_max=100,
    key_types=("rsa", "ed25519"),
    takes_public_key=True,
    takes_subaccount=True,
)
_PATH = "/api_keys"
_ENCODER = msgspec.json.Encoder()
_FORBIDDEN = 403


class KalshiKeys:
    """The keys of one account; implements `framework.domain.venue.KeyAdmin`."""

    def __init__(self, name: str, rest: SignedRest, settings: KalshiSettings) -> None:
        self.venue = name
        self.is_loopback = settings.is_loopback
        self.terms = KEY_TERMS
        self._rest = rest
        self._own_id = settings.key_id
        self._own_scopes: tuple[str, ...] = ()

    async def list_keys(self) -> tuple[ListedKey, ...]:
        """Read the keys; the venue's clock before, unsigned."""
        await queries.get_exchange_status(self._rest)
        keys = await queries.get_api_keys(self._rest)
        self._own_scopes = next((one.scopes for one in keys if one.api_key_id == self._own_id), ())
        return tuple(map(self._listed, keys))

    async def create_key(self, form: KeyForm, /) -> MadeKey:
        """Register a public key."""
        return await self._make(_PATH, form, {"public_key": form.public_key})

    async def generate_key(self, form: KeyForm, /) -> MadeKey:
        """Have the venue make a pair: its private key is in the answer, and nowhere else."""
        return await self._make(f"{_PATH}/generate", form, {"key_type": form.key_type})

    async def update_key(self, key_id: str, form: KeyForm, /) -> None:
        """The venue has no such request. Raises `NotSupported`."""
        raise NotSupported("keys can't be changed at this venue; make another and revoke this one")

    async def revoke_key(self, key_id: str, /) -> None:
        """Delete a key; what it signs is refused from then on."""
        call = Call("DELETE", f"{_PATH}/{path_part(key_id)}")
        await self._write(call, lambda _body: None, tier_matters=False)

    async def close(self) -> None:
        """Close every connection that it has opened."""
        await self._rest.close()

    def _listed(self, key: RestApiKey) -> ListedKey:
        is_own = key.api_key_id == self._own_id
        return ListedKey(id=key.api_key_id, label=key.name, scopes=key.scopes, subaccount=key.subaccount, is_own=is_own)

    async def _make(self, path: str, form: KeyForm, own: dict[str, Any]) -> MadeKey:
        if "write" in (form.scopes or ()) and "read" not in (form.scopes or ()):
            raise ConfigurationError("--scope: write needs read, too; give both")
        fields = {"name": form.label, "scopes": form.scopes, "subaccount": form.subaccount} | own
        body = _ENCODER.encode({name: value for name, value in fields.items() if value is not None})
        decoder = msgspec.json.Decoder(CreatedKey)
        made = await self._write(Call("POST", path, body), decoder.decode, tier_matters="public_key" in own)
        return MadeKey(id=made.api_key_id, secret=made.private_key)

    async def _write(self, call: Call, decode: Any, *, tier_matters: bool) -> Any:
        try:
            return await self._rest.write(call, decode)
        except RefusedByVenue as e:
            if e.status != _FORBIDDEN:
                raise
            raise RefusedByVenue(e.code, await self._why_forbidden(tier_matters), status=e.status) from e

    async def _why_forbidden(self, tier_matters: bool) -> str:
        if "write" not in self._own_scopes:
            scopes = ", ".join(self._own_scopes) or "not listed"
            return f"the key of venues.{self.venue} may not change keys, its scopes are {scopes}; use one with write"
        if not tier_matters:
            return "the venue does not let this key do that; look at the account on its website"
        try:
            tier = (await queries.get_account_limits(self._rest)).usage_tier
        except (AccountRefused, RefusedByVenue, Retryable, UnreadableAnswer):
            tier = "not known"
        return (
            "a public key of one's own is taken from the usage levels Premier and Market Maker up, and this account's "
            f"is {tier}; have the venue make the pair: tidegate keys generate"
        )


def kalshi_keys(name: str, settings: KalshiSettings, *, clock: Clock, rng: Rng, proxy: str = "") -> KalshiKeys:
    """The keys of the account that the settings name; no connection is opened yet. Raises `ConfigurationError` when its
    private key can't be used."""
    signer, time = Signer(settings.key_id, load_private_key(settings.private_key_path)), VenueTime(clock)
    breaker = make_breaker(rng, connects_per_minute_max=settings.connects_per_minute_max)
    http = open_transport(settings.rest_origin, connections_max=1, clock=clock, breaker=breaker, proxy=proxy)
    return KalshiKeys(name, kalshi_rest(http, signer, settings, clock=clock, time=time), settings)
