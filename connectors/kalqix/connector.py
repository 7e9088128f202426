"""The connector of one KalqiX account: the toolkit's polls around its reads, and the way of its orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from connectors.client.connector import ConnectorIdentity, EventOutlet, VenueConnector
from connectors.client.gateway import OrderCodec, shown_when_taken
from connectors.client.instruments import Selection
from connectors.client.loader import InstrumentParts, instrument_parts
from connectors.client.request_clock import RequestClock
from connectors.client.rest import SignedRest, open_rest
from connectors.client.secret_file import read_private_key, read_secret_text
from connectors.client.usual.account_rows import AccountRows
from connectors.client.usual.market_list import MarketList
from connectors.client.usual.polled import polled_parts
from connectors.client.venue_time import VenueTime
from connectors.client.wire.address import account_of, is_loopback, path_of
from connectors.client.wire.calls import Call
from connectors.client.wire.hmac_sign import HmacKey
from connectors.client.wire.keys import as_declared
from connectors.client.wire.reports import Ack, accepted, decoded_ack, order_to_change, report
from connectors.client.wire.rows import Row
from connectors.client.wire.wallet_sign import WalletKey
from connectors.kalqix.dialect import CANCEL_PENDING, CLIENT_ID_TAKEN, DIALECTS, VERDICTS, WORDS, limits_of, parse_error
from connectors.kalqix.reads import KalqixReads, MarketRows
from connectors.kalqix.settings import KalqixSettings
from connectors.kalqix.sign import (
    STAMP_MARGIN_MS,
    TRADING,
    SignAction,
    agent_signer,
    sent_as,
    signing,
    wallet_signer,
)
from connectors.kalqix.wire.requests import Fields, cancel_all_orders, cancel_order, order_fields, place_order
from connectors.kalqix.wire.rows import UNKNOWN, symbol_of
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import ReportKind
from framework.domain.errors import ConfigurationError, RefusedByVenue
from framework.domain.events import Event
from framework.domain.instruments import InstrumentId
from framework.domain.intents import CancelAll, CancelOrder, NewOrder
from framework.domain.orders import Order
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.verdicts import Approved


def make_connector(
    name: str, settings: KalqixSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> VenueConnector:
    """Put the parts of one account, `name` in the configuration, together; no connection is opened yet.

    Raises `ConfigurationError` when a secret or a key can't be used, and when the library that signs is missing.
    """
    dialect, outlet = DIALECTS[settings.dialect], EventOutlet()
    sign_action, wallet = signer_of(settings)
    rest = open_account(settings, sign_action, clock=clock, rng=rng, proxy=proxy, turn=turn)
    rows = MarketRows(rest, name, dialect)
    selection = Selection(settings.markets)
    source = MarketList(
        selection, rows.read_all, symbol_of=symbol_of, instrument_of=rows.instrument_of, held=rows.read_held
    )
    ports: dict[str, Any] = {"clock": clock, "time": rest.time, "publish": outlet.send}
    markets = instrument_parts(name, source, selection, followed_max=settings.markets_max, **ports)
    account_rows = AccountRows(name, WORDS, markets, rest, clock=clock)
    reads = KalqixReads(rest, dialect, account_rows, rows, markets.registry, user=wallet or "me", clock=clock)
    codec = OrderWay(settings, rows, markets, reads, clock=clock).codec()
    limits = limits_of(settings.requests_per_second, settings.requests_per_minute, wallet.lower())
    parts = polled_parts(name, rest, markets, reads, codec, settings, outlet=outlet, limits=limits, clock=clock)
    account, is_local = account_of(settings.rest_url, settings.key_id), is_loopback(settings.rest_url)
    identity = ConnectorIdentity(name, account, is_local, dialect.assumptions, dialect.terms)
    rights, notes = as_declared(settings.key_rights), partial(key_notes, rest, wallet)
    noted = msgspec.structs.replace(parts, key_rights=rights, access_notes=notes)
    return VenueConnector(identity, noted, clock=clock)


def open_account(
    settings: KalqixSettings, sign_action: SignAction, *, clock: Clock, rng: Rng, proxy: str, turn: TakeTurn = no_limits
) -> SignedRest:
    """The REST of an account whose actions are signed so; no connection is opened yet.

    Raises `ConfigurationError` when the API key's secret can't be used.
    """
    dialect, prefix = DIALECTS[settings.dialect], path_of(settings.rest_url)
    secret = HmacKey(read_secret_text(settings.api_secret_path, "api_secret_path").encode())

    def sign_with(time: VenueTime) -> Callable[[Call], HttpRequest]:
        stamps = RequestClock(time, margin_ms=STAMP_MARGIN_MS)
        return signing(dialect, settings.key_id, secret, sign_action, stamps, prefix=prefix)

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


class OrderWay:
    """How orders go out and what their answers prove."""

    def __init__(
        self, settings: KalqixSettings, rows: MarketRows, markets: InstrumentParts, reads: KalqixReads, *, clock: Clock
    ) -> None:
        self._dialect = DIALECTS[settings.dialect]
        self._rows = rows
        self._markets = markets
        self._reads = reads
        self._clock = clock
        self._agent: Fields = {"agent_index": settings.agent_index or 0} if self._dialect.has_agents else {}
        self._shown_when_taken = shown_when_taken(CLIENT_ID_TAKEN, reads.find_named)

    def codec(self) -> OrderCodec:
        """The toolkit's form of it."""
        return OrderCodec(encode=self.encode, decode=self.decode, on_refusal=self.on_refusal, digest=sent_as)

    def encode(self, approved: Approved, order: Order | None) -> Call:
        """The request of what was approved. Raises as `OrderCodec` says."""
        intent = approved.intent
        if isinstance(intent, NewOrder):
            instrument = self._markets.known(intent.instrument)
            market = self._rows.known.get(instrument.symbol, UNKNOWN)
            fields = order_fields(self._dialect, approved.client_order_id, intent, instrument, market)
            return place_order(fields | self._agent)
        if isinstance(intent, CancelAll):
            return cancel_all_orders(self._market_id(intent.instrument), self._agent)
        return cancel_order(order_to_change(approved, order).venue_order_id, self._agent)

    def decode(self, approved: Approved, body: bytes) -> tuple[Event, ...]:
        """What a success states: a new order's id alone, and of a cancel that it was received."""
        intent, now_ns = approved.intent, self._clock.now_ns()
        if isinstance(intent, NewOrder):
            order_id = decoded_ack(body, _PLACED.decode).order_id
            self._reads.note_order(order_id)
            return accepted(approved, intent, Ack(order_id, now_ns))
        return self._received(approved) if isinstance(intent, CancelOrder) else ()

    async def on_refusal(
        self, approved: Approved, refusal: RefusedByVenue, request: HttpRequest
    ) -> tuple[Event, ...] | None:
        """A cancel that was received before is under way; an id that is taken (B) shows its order."""
        if refusal.code == CANCEL_PENDING and isinstance(approved.intent, CancelOrder):
            return self._received(approved)
        return await self._shown_when_taken(approved, refusal, request)

    def _received(self, approved: Approved) -> tuple[Event, ...]:
        return (report(approved, ReportKind.CANCEL_PENDING, Ack("", self._clock.now_ns())),)

    def _market_id(self, instrument: InstrumentId) -> int:
        found = self._rows.known.get(instrument.partition(":")[2], UNKNOWN)
        if not found.market_id:
            raise RefusedByVenue("unknown_market", f"{instrument}: the number of its market is not known")
        return found.market_id


async def key_notes(rest: SignedRest, wallet: str) -> Sequence[str]:
    """What an operator should know of the keys: the venue says of an API key only whose it is."""
    owner = str((await rest.get("/users/me", Row)).get("wallet_address"))
    is_other = bool(wallet) and owner.lower() != wallet.lower()
    other = f"wallet_key_path is the key of {wallet}, and key_id belongs to {owner}: orders would be refused"
    return (other,) if is_other else ()


class _Placed(msgspec.Struct, frozen=True):
    order_id: str


_PLACED = msgspec.json.Decoder(_Placed)
