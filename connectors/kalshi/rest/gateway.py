"""Signs what was approved, sends it to Kalshi once, and reports what the response proves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.lone_rows import LoneRows, RowFields
from connectors.client.rest import SignedRest, or_none
from connectors.client.wire.calls import Call
from connectors.client.wire.decimals import NS_PER_S
from connectors.client.wire.listing import BadRow
from connectors.client.wire.reports import order_to_change
from connectors.kalshi.rest import queries
from connectors.kalshi.settings import KalshiSettings
from connectors.kalshi.wire import encode
from connectors.kalshi.wire.account_messages import OrderAck, RestFill, RestOrder, RestPosition
from connectors.kalshi.wire.decode_acks import accepted, amended, cancelled, decode_ack
from connectors.kalshi.wire.decode_rest import rest_fill, rest_order_snapshot, rest_position
from connectors.kalshi.wire.encode import AccountScope
from connectors.kalshi.wire.errors import ORDER_ALREADY_EXISTS, is_about_the_market
from connectors.transport.ports import HttpRequest
from framework.domain.account_events import Fill, OrderSnapshot, PositionReport
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, NewOrder
from framework.domain.orders import Order
from framework.domain.ports import Clock
from framework.domain.venue import IsClaimed, LastWord, UnreadableRow, nothing_against, nothing_claimed
from framework.domain.verdicts import Approved, Signed

E = TypeVar("E")


class _OrderBody(msgspec.Struct):
    ticker: str = ""


_ORDER_BODY = msgspec.json.Decoder(_OrderBody)
_ROW_FIELDS = {
    "orders": RowFields("ticker", "order_id"),
    "fills": RowFields("ticker", "trade_id"),
    "positions": RowFields("ticker"),
}
# Lists are asked from a little before the time wanted: `min_ts` has whole seconds, and clocks differ.
_LOOK_BACK_S = 120
# An order is recorded at our wall time. If the clock was set back since, that time is in the venue's future, so a
# second look-up asks from a day earlier.
_CLOCK_SET_BACK_S_MAX = 86_400
# A cancel that was refused or not sent leaves its order here; beyond so many the oldest is dropped.
_CANCELLING_MAX = 1_000


class OrderWrites(msgspec.Struct, frozen=True):
    """How a generation of the API writes orders, and reads what is answered."""

    new_order: Callable[[str, NewOrder, Instrument, AccountScope], Call]
    amend_order: Callable[[AmendOrder, Order, Instrument, AccountScope], Call]
    cancel_order: Callable[[Order, Instrument, AccountScope], Call]
    cancel_by_id: Callable[[str, str, AccountScope], Call]
    decode_ack: Callable[[bytes], OrderAck]


CURRENT_WRITES = OrderWrites(encode.new_order, encode.amend_order, encode.cancel_order, encode.cancel_by_id, decode_ack)


class KalshiGateway:
    """One account's gateway: implements `framework.domain.venue.Gateway`.

    `find_instrument` returns every instrument that the connector has defined, None for another one.
    """

    def __init__(
        self,
        venue: str,
        rest: SignedRest,
        settings: KalshiSettings,
        *,
        clock: Clock,
        find_instrument: Callable[[InstrumentId], Instrument | None],
        read_again: Callable[[str], None] = lambda _ticker: None,
        writes: OrderWrites = CURRENT_WRITES,
    ) -> None:
        """`read_again` is called with the ticker of a market that is not as it is known here: the venue refused an
        order for its grid or its status."""
        self._venue = venue
        self._rest = rest
        self._settings = settings
        self._writes = writes
        self._clock = clock
        self._find_instrument = find_instrument
        self._read_again = read_again
        self._rows = LoneRows(venue, _ROW_FIELDS, clock, rest.report)
        self._scope = AccountScope(settings.subaccount, settings.use_shards, settings.self_trade_prevention)
        # Orders whose cancel was signed. The same objects that the daemon updates, so that the acknowledgement is
        # compared with what is known when it comes.
        self._cancelling: dict[str, Order] = {}
        codec = OrderCodec(encode=self._call, decode=self._done, on_refusal=self._on_refusal)
        self._orders = OrderGateway(rest, codec, clock=clock)

    def __repr__(self) -> str:
        return f"<KalshiGateway {self._venue} {self._rest!r}>"

    @property
    def read_lag_ms(self) -> int:
        """Milliseconds for which reads may lag behind writes: the setting; 360 ms was recorded."""
        return self._settings.read_lag_ms

    @property
    def unreadable_rows(self) -> tuple[UnreadableRow, ...]:
        """The rows that `open_orders`, `fills` and `positions` left out when last read: the venue sent them in a form
        that can't be read, and a look-up of each alone brought no more."""
        return self._rows.unreadable

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        """Build and sign the request with a timestamp of now.

        `order` is the order to change, None for a new one. Raises `Retryable` when the venue's id of the order to
        change is not known yet (look the order up first), and `RefusedByVenue` for an unknown order or instrument.
        """
        return self._orders.sign(approved, order)

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        """Send once. Refusals by the venue come back as events. Raises like `OrderGateway.send`."""
        return await self._orders.send(signed, last_word=last_word)

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed = nothing_claimed) -> OrderSnapshot | None:
        """Look an order up: by the venue's id when it is known, then by our id among the market's orders.

        None when the venue lists no such order. Raises `Retryable`, `RefusedByVenue` or `AccountRefused` like every
        read.
        """
        asked_ns = self._clock.now_ns()
        if order.venue_order_id:
            found = await or_none(queries.get_order(self._rest, order.venue_order_id))
            if found is not None:
                return self._snapshot(found, asked_ns)
        return await self._find_listed(order.client_order_id, order.instrument, since_ns=order.created_ns)

    async def open_orders(self) -> tuple[OrderSnapshot, ...]:
        """Every resting order of the account's subaccount, on all shards. Raises like `find_order`."""
        own, asked_ns = self._settings.own_subaccount, self._clock.now_ns()
        listed = await queries.get_orders(self._rest, status="resting", subaccount=own)
        snapshots = await self._rows.events(
            "orders", listed, self._dated(rest_order_snapshot, asked_ns), self._order_of
        )
        # One that was looked up alone may have ended since.
        return tuple(snapshot for snapshot in snapshots if snapshot.is_open)

    async def fills(self, since_ns: int, /) -> tuple[Fill, ...]:
        """Every fill since a venue time (Unix nanoseconds), oldest first; a few older ones may come along.

        Raises like `find_order`.
        """
        since_s = max(0, since_ns // NS_PER_S - _LOOK_BACK_S)
        listed = await queries.get_fills(self._rest, since_s=since_s, subaccount=self._settings.own_subaccount)
        listed.rows.reverse()
        fills = await self._rows.events("fills", listed, self._dated(rest_fill, self._clock.now_ns()), self._fill_of)
        return tuple(sorted(fills, key=lambda fill: fill.ts_venue))

    async def positions(self) -> tuple[PositionReport, ...]:
        """Every position that is not flat, in markets that are not settled, on all shards.

        Raises like `find_order`, and `Retryable` for a row that can't be read and names no market.
        """
        asked_ns = self._clock.now_ns()
        listed = await queries.get_positions(self._rest, subaccount=self._settings.own_subaccount)
        reports = await self._rows.events("positions", listed, self._dated(rest_position, asked_ns), self._position_of)
        if any(row.listing == "positions" and not row.instrument for row in self.unreadable_rows):
            raise Retryable("a row of the positions can't be read and names no market: none counts as flat")
        return tuple(report for report in reports if report.size)

    def _dated(self, decode: Callable[..., E], ts_recv: int) -> Callable[[object], E]:
        return partial(decode, venue=self._venue, ts_recv=ts_recv)

    async def _order_of(self, row: BadRow) -> RestOrder | None:
        name = row.text("order_id")
        return await or_none(queries.get_order(self._rest, name)) if name else None

    async def _fill_of(self, row: BadRow) -> RestFill | None:
        name, own = row.text("order_id"), self._settings.own_subaccount
        found = await queries.get_fills(self._rest, order_id=name, subaccount=own) if name else ()
        return next((one for one in found if one.trade_id == row.text("trade_id")), None)

    async def _position_of(self, row: BadRow) -> RestPosition | None:
        name, own = row.text("ticker"), self._settings.own_subaccount
        found = await queries.get_positions(self._rest, ticker=name, subaccount=own) if name else ()
        return next((one for one in found if one.ticker == name), None)

    def _call(self, approved: Approved, order: Order | None) -> Call:
        intent = approved.intent
        if isinstance(intent, CancelAll):
            # Named always: without a number it would end the orders of all subaccounts (vendor docs).
            own = msgspec.structs.replace(self._scope, subaccount=self._settings.own_subaccount)
            return encode.cancel_all_orders(own)
        if isinstance(intent, NewOrder):
            instrument = self._instrument(intent.instrument)
            return self._writes.new_order(approved.client_order_id, intent, instrument, self._scope)
        order = order_to_change(approved, order)
        instrument = self._instrument(order.instrument)
        if isinstance(intent, AmendOrder):
            return self._writes.amend_order(intent, order, instrument, self._scope)
        self._note_cancelling(order)
        return self._writes.cancel_order(order, instrument, self._scope)

    def _note_cancelling(self, order: Order) -> None:
        self._cancelling[order.client_order_id] = order
        if len(self._cancelling) > _CANCELLING_MAX:
            del self._cancelling[next(iter(self._cancelling))]

    def _done(self, approved: Approved, body: bytes) -> tuple[Event, ...]:
        intent = approved.intent
        if isinstance(intent, CancelAll):
            # The response names no order: the order stream and the look-ups show which ones ended.
            return ()
        ack = self._writes.decode_ack(body)
        now_ns = self._clock.now_ns()
        if isinstance(intent, NewOrder):
            return accepted(approved, intent, ack, ts_recv=now_ns)
        if isinstance(intent, CancelOrder):
            return cancelled(approved, ack, ts_recv=now_ns, order=self._cancelling.pop(approved.client_order_id, None))
        return amended(approved, intent, ack, ts_recv=now_ns)

    async def _on_refusal(
        self, approved: Approved, refusal: RefusedByVenue, request: HttpRequest
    ) -> tuple[Event, ...] | None:
        intent = approved.intent
        if isinstance(intent, (NewOrder, AmendOrder)) and is_about_the_market(refusal.code):
            self._read_again(_ORDER_BODY.decode(request.body).ticker)
        if isinstance(intent, NewOrder) and refusal.code.startswith(ORDER_ALREADY_EXISTS):
            return await self._find_existing(approved, intent)
        return None

    async def _find_existing(self, approved: Approved, intent: NewOrder) -> tuple[Event, ...]:
        """The venue already has an order of this id, so an earlier attempt arrived: return that order's state."""
        found = await self._find_listed(approved.client_order_id, intent.instrument, since_ns=approved.ts_ns)
        if found is None:
            raise OutcomeUnknown(f"{approved.client_order_id} exists at the venue, and is not listed yet")
        return (found,)

    async def _find_listed(
        self, client_order_id: str, instrument: InstrumentId, *, since_ns: int
    ) -> OrderSnapshot | None:
        if not client_order_id:
            return None
        # `since_ns` is our wall time; the venue compares `min_ts` with its own clock.
        ahead_ns = self._rest.time.now_ns() - self._clock.now_ns()
        symbol, since_s = self._instrument(instrument).symbol, (since_ns + ahead_ns) // NS_PER_S
        for look_back_s in (_LOOK_BACK_S, _CLOCK_SET_BACK_S_MAX):
            asked_ns = self._clock.now_ns()
            listed = await queries.get_orders(
                self._rest,
                ticker=symbol,
                since_s=max(0, since_s - look_back_s) if since_ns else None,
                subaccount=self._settings.own_subaccount,
            )
            for one in listed:
                if one.client_order_id == client_order_id:
                    return self._snapshot(one, asked_ns)
            for row in listed.bad:
                if row.text("client_order_id") in ("", client_order_id):
                    raise Retryable(f"{row.row!r} can't be read and may be {client_order_id}: {row.reason}")
        return None

    def _instrument(self, instrument: InstrumentId) -> Instrument:
        found = self._find_instrument(instrument)
        if found is None:
            raise RefusedByVenue("unknown_instrument", f"{instrument}: not defined by this connector")
        return found

    def _snapshot(self, order: RestOrder, asked_ns: int) -> OrderSnapshot:
        """An order as read. It is dated by when it was asked for: what was received meanwhile is not older. Raises
        `Retryable` for one that cannot be read."""
        try:
            return rest_order_snapshot(order, venue=self._venue, ts_recv=asked_ns)
        except ValueError as e:
            raise Retryable(f"{order!r} can't be read: {e}") from e
