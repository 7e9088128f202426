"""A whole connector for a venue of the usual kind: no stream, client ids, one list of markets, flat rows in pages.

A venue that differs in a point takes the parts by themselves and writes that one: nothing here is more than they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from connectors.client.connector import ConnectorIdentity, EventOutlet, VenueConnector
from connectors.client.gateway import OrderCodec, shown_when_taken
from connectors.client.instruments import Selection
from connectors.client.loader import InstrumentParts, instrument_parts
from connectors.client.rest import RestSettings, Sign, SignedRest, open_rest
from connectors.client.usual.account_rows import AccountRows
from connectors.client.usual.market_list import MarketList
from connectors.client.usual.polled import PollSettings, polled_parts
from connectors.client.usual.reads import ListMarkets, ListReads, Lists
from connectors.client.venue_time import VenueTime
from connectors.client.window_headers import WindowHeaders, WindowSight
from connectors.client.wire.address import account_of, is_loopback
from connectors.client.wire.answers import ErrorShape, Verdicts
from connectors.client.wire.calls import Call
from connectors.client.wire.json_text import decode_json
from connectors.client.wire.keys import DeclaredRights, as_declared
from connectors.client.wire.reports import order_to_change, stated_order
from connectors.client.wire.rows import Row, RowWords
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.intents import NewOrder
from framework.domain.orders import Order
from framework.domain.ports import Clock, Rng
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import VenueTerms
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.verdicts import Approved


class UsualSettings(RestSettings, PollSettings, Protocol):
    """The settings of an account at such a venue, under the names of `connectors.client.settings`."""

    @property
    def key_id(self) -> str:
        """The key's id, no secret."""
        ...

    @property
    def markets(self) -> tuple[str, ...]:
        """Patterns of the markets to follow."""
        ...

    @property
    def markets_max(self) -> int:
        """Most markets to follow."""
        ...


class UsualVenue(msgspec.Struct, frozen=True, kw_only=True):
    """What such a venue says of itself. `place` makes the request of a new order from our id, `cancel` that of its end
    from the venue's; both are answered with the order's row. `taken_code` is the code of the refusal when our id is in
    use. `window` are the headers of the rate limit, where there are any. `declared_rights` is what the settings say of
    the key: such a venue does not say what it may do."""

    name: str
    assumptions: tuple[str, ...]
    terms: VenueTerms
    limits: RateLimits
    words: RowWords
    lists: Lists
    verdicts: Verdicts
    errors: ErrorShape
    place: Callable[[str, NewOrder, Instrument], Call]
    cancel: Callable[[str], Call]
    taken_code: str
    window: WindowHeaders | None = None
    declared_rights: DeclaredRights = ()


def usual_connector(
    venue: UsualVenue,
    name: str,
    settings: UsualSettings,
    sign: Callable[[VenueTime], Sign],
    *,
    clock: Clock,
    rng: Rng,
    proxy: str = "",
    turn: TakeTurn = no_limits,
) -> VenueConnector:
    """Put the parts of one account, `name` in the configuration, together; no connection is opened yet."""
    outlet = EventOutlet()
    window = {} if venue.window is None else {"on_answer": WindowSight(name, venue.window, clock, outlet.send).see}
    rest = open_rest(
        venue.name,
        settings,
        sign,
        verdicts=venue.verdicts,
        parse_error=venue.errors.read,
        unsigned=frozenset({venue.lists.ping}),
        clock=clock,
        rng=rng,
        proxy=proxy,
        turn=turn,
        **window,
    )
    markets = _markets(venue, name, settings, rest, clock=clock, publish=outlet.send)
    rows = AccountRows(name, venue.words, markets, rest, clock=clock)
    reads = ListReads(name, rest, venue.lists, venue.words, rows, clock=clock)
    codec = row_codec(venue, markets, rows, reads, clock=clock)
    parts = polled_parts(name, rest, markets, reads, codec, settings, outlet=outlet, limits=venue.limits, clock=clock)
    account, is_local = account_of(settings.rest_url, settings.key_id), is_loopback(settings.rest_url)
    identity = ConnectorIdentity(name, account, is_local, venue.assumptions, venue.terms)
    rights = as_declared(venue.declared_rights)
    return VenueConnector(identity, msgspec.structs.replace(parts, key_rights=rights), clock=clock)


def _markets(
    venue: UsualVenue,
    name: str,
    settings: UsualSettings,
    rest: SignedRest,
    *,
    clock: Clock,
    publish: Callable[[Event], None],
) -> InstrumentParts:
    selection, listed = Selection(settings.markets), ListMarkets(rest, venue.lists, venue.words)
    source = MarketList(
        selection,
        listed.read_all,
        symbol_of=listed.symbol_of,
        instrument_of=lambda row: venue.words.instrument_of(row, name),
        held=listed.read_held,
    )
    most = settings.markets_max
    return instrument_parts(name, source, selection, followed_max=most, clock=clock, time=rest.time, publish=publish)


def row_codec(
    venue: UsualVenue, markets: InstrumentParts, rows: AccountRows, reads: ListReads, *, clock: Clock
) -> OrderCodec:
    """The way out of orders whose answers are their rows."""

    def encode(approved: Approved, order: Order | None) -> Call:
        intent = approved.intent
        if isinstance(intent, NewOrder):
            return venue.place(approved.client_order_id, intent, markets.known(intent.instrument))
        return venue.cancel(order_to_change(approved, order).venue_order_id)

    def decode(approved: Approved, body: bytes) -> tuple[Event, ...]:
        now_ns = clock.now_ns()
        return stated_order(approved, body, lambda raw: rows.order(decode_json(raw, _ROW.decode), now_ns))

    return OrderCodec(encode=encode, decode=decode, on_refusal=shown_when_taken(venue.taken_code, reads.find_named))


_ROW = msgspec.json.Decoder(Row)
