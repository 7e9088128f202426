"""The connector of one KalqiX account: the toolkit's polls around its reads, and the way of its orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from connectors.client.connector import ConnectorIdentity, EventOutlet, VenueConnector
from connectors.client.gateway import OrderCodec, shown_when_taken
from connectors.client.instruments import Selection
from connectors.client.loader import InstrumentParts, instrument_parts
from connectors.client.rest import SignedRest
from connectors.client.usual.account_rows import AccountRows
from connectors.client.usual.market_list import MarketList
from connectors.client.usual.polled import polled_parts
from connectors.client.wire.address import account_of, is_loopback
from connectors.client.wire.calls import Call
from connectors.client.wire.keys import as_declared
from connectors.client.wire.reports import Ack, accepted, decoded_ack, order_to_change, report
from connectors.client.wire.rows import Row
from connectors.kalqix.dialect import CANCEL_PENDING, CLIENT_ID_TAKEN, DIALECTS, WORDS, limits_of
from connectors.kalqix.reads import KalqixReads, MarketRows
from connectors.kalqix.settings import KalqixSettings
from connectors.kalqix.sign import open_account, sent_as, signer_of
from connectors.kalqix.wire.requests import Fields, cancel_all_orders, cancel_order, order_fields, place_order
from connectors.kalqix.wire.rows import UNKNOWN, symbol_of
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import ReportKind
from framework.domain.errors import RefusedByVenue
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
