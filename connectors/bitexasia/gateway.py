"""The way out of a BitExAsia account, and the look-ups of a venue that lists neither open orders nor fills.

An order whose answer was lost has no id of the venue's yet, and only another `POST /orders` under our id can show it:

* `send` sends the same body again, once, as long as the order is still wanted: the venue makes one order of it.
* `find_order` must not make an order that nobody wants any more. It places under our id another one that cannot trade:
  the smallest size at the lowest price. Refused as another body under the same id, it proves that the order is there;
  then the same body is answered with it. Taken, it proves that the order never arrived, and as our id is used up now,
  it never will: what was placed is cancelled at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from connectors.bitexasia.dialect import CONFLICT
from connectors.bitexasia.settings import BitExAsiaSettings
from connectors.bitexasia.wire.messages import Balances, OrderRow, balances_of, cancel_order, decode_order, order_of
from connectors.client.gateway import OrderCodec, OrderGateway
from connectors.client.loader import InstrumentParts
from connectors.client.rest import SignedRest, or_none
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.decimals import NS_PER_MS, plain_text
from connectors.client.wire.reports import Ack, accepted, decoded_ack, order_to_change, report
from framework.domain.account_events import BalanceReport, OrderReport, OrderSnapshot, ReportKind
from framework.domain.errors import AccountRefused, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.events import Event
from framework.domain.instruments import Instrument
from framework.domain.intents import CancelOrder, NewOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderKind, Side
from framework.domain.ports import Clock
from framework.domain.rate_limits import RequestKind
from framework.domain.turns import TakeTurn
from framework.domain.venue import IsClaimed, LastWord, nothing_against, nothing_claimed
from framework.domain.verdicts import Approved, Signed

REJECTED = "rejected"
"""The state of an order that was taken and refused then."""
_log = structlog.get_logger("bitexasia")
_RETRY_MS = 50
_NOTHING_DONE = (Retryable, RefusedByVenue, AccountRefused)


class BitExAsiaGateway:
    """Implements `framework.domain.venue.Gateway`. The reconciler alone looks orders up, nothing here by itself."""

    def __init__(
        self, rest: SignedRest, settings: BitExAsiaSettings, markets: InstrumentParts, *, clock: Clock, turn: TakeTurn
    ) -> None:
        self._rest = rest
        self._settings = settings
        self._markets = markets
        self._clock = clock
        self._turn = turn
        self._orders = OrderGateway(rest, OrderCodec(encode=self._encode, decode=self._decode), clock=clock)

    def __repr__(self) -> str:
        return f"<BitExAsiaGateway {self._rest!r}>"

    @property
    def read_lag_ms(self) -> int:
        """Milliseconds for which reads may lag behind writes."""
        return self._settings.read_lag_ms

    def sign(self, approved: Approved, order: Order | None, /) -> Signed:
        """Build and sign the request. Raises like `OrderGateway.sign`."""
        return self._orders.sign(approved, order)

    async def send(self, signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        """Send once; a new order whose answer is lost once more while it is wanted. Raises like `OrderGateway.send`."""
        try:
            return await self._orders.send(signed, last_word=last_word)
        except OutcomeUnknown as lost:
            if not isinstance(signed.approved.intent, NewOrder):
                raise
            return await self._send_again(signed.approved, lost, last_word)

    async def find_order(self, order: Order, /, *, is_claimed: IsClaimed = nothing_claimed) -> OrderSnapshot | None:
        """The order by the venue's id, or, where that is not known, by our id as described above. Raises like reads."""
        one, asked_ns = self._markets.known(order.instrument), self._clock.now_ns()
        if order.venue_order_id:
            path = f"/orders/{path_part(order.venue_order_id)}"
            row = await or_none(self._rest.read(path, decode_order, endpoint="/orders"))
        else:
            row = await self._find_sent(order, one)
        return None if row is None else self._snapshot(row, order, one, asked_ns)

    async def open_orders(self) -> None:
        """Open orders can't be listed: None."""
        return None

    async def fills(self, since_ns: int, /) -> None:
        """Fills can't be listed: None."""
        return None

    async def positions(self) -> None:
        """Positions can't be read: None."""
        return None

    async def read_balances(self, venue: str) -> Sequence[BalanceReport]:
        """Every balance of spot, margin and earn. Raises like reads, and `ValueError` for one that can't be read."""
        asked_ns = self._clock.now_ns()
        return tuple(balances_of(await self._rest.get("/account/balances", Balances), venue, asked_ns))

    def _encode(self, approved: Approved, order: Order | None) -> Call:
        intent = approved.intent
        if isinstance(intent, NewOrder):
            return self._place(intent, approved.client_order_id)
        if not isinstance(intent, CancelOrder):
            raise RefusedByVenue("not_offered", type(intent).__name__)
        return cancel_order(order_to_change(approved, order).venue_order_id)

    def _place(self, wanted: NewOrder | Order, client_order_id: str = "") -> Call:
        """A new order, or the same once more from what is known of it: one order gives the same bytes always."""
        one = self._markets.known(wanted.instrument)
        name = wanted.client_order_id if isinstance(wanted, Order) else client_order_id
        price = plain_text(wanted.price, one.price_decimals)
        body: dict[str, str | bool] = {"pair": one.symbol, "side": wanted.side.value}
        if wanted.trigger is not None:
            stop = plain_text(wanted.trigger.price, one.price_decimals)
            body |= {"type": "stop", "price": price, "stop_price": stop}
        elif wanted.kind is OrderKind.MARKET:
            body |= {"type": "market"}
        else:
            body |= {"type": "limit", "price": price}
        body |= {"size": plain_text(wanted.size, one.size_decimals), "client_order_id": name}
        if self._settings.optional_fields:
            body |= {"time_in_force": wanted.time_in_force.value, "post_only": wanted.post_only}
        return Call("POST", "/orders", msgspec.json.encode(body))

    def _decode(self, approved: Approved, body: bytes) -> tuple[Event, ...]:
        """What the venue states of the order. What was filled of it the next look-up books."""
        row, intent, now_ns = decoded_ack(body, decode_order), approved.intent, self._clock.now_ns()
        if row.client_order_id not in (None, "", approved.client_order_id):
            raise OutcomeUnknown(f"the answer states {row.client_order_id}, not {approved.client_order_id}")
        try:
            price = intent.price if isinstance(intent, NewOrder) else None
            found = order_of(row, self._markets.listed(row.pair), now_ns, price=price)
        except ValueError as e:
            raise OutcomeUnknown(f"the acknowledgement can't be read: {e}: {body[:200]!r}") from e
        ack = Ack(found.venue_order_id, now_ns)
        if not isinstance(intent, NewOrder):
            if found.is_open:
                return (report(approved, ReportKind.CANCEL_PENDING, ack),)
            return (msgspec.structs.replace(found, client_order_id=approved.client_order_id),)
        if found.reason == REJECTED:
            return (report(approved, ReportKind.REJECTED, ack, detail=REJECTED),)
        remaining = Size(found.size - found.filled if found.is_open else 0)
        return accepted(approved, intent, ack, filled=found.filled, remaining=remaining)

    async def _send_again(self, approved: Approved, lost: OutcomeUnknown, last_word: LastWord) -> tuple[Event, ...]:
        """Send the same body again. Nothing but an order that is there comes of it: a refusal of this request proves
        nothing about the first one, which may still be on its way."""
        try:
            events = await self._once_more(approved, last_word)
        except _NOTHING_DONE as e:
            raise OutcomeUnknown(f"{lost}; not done again: {e}") from e
        said = [one for one in events if isinstance(one, OrderReport)]
        if any(one.kind is ReportKind.REJECTED for one in said):
            raise OutcomeUnknown(f"{lost}; refused when sent again: {said[0].detail}")
        if len(said) == 1 and (reason := self._why_not_again(approved, last_word)) is not None:
            await self._take_back(said[0].venue_order_id, reason)
        return events

    async def _once_more(self, approved: Approved, last_word: LastWord) -> tuple[Event, ...]:
        """Send until a byte has left, as long as the order is wanted: where the connection was cut, the next one may
        have to wait. Raises like `OrderGateway.send`."""
        while (reason := self._why_not_again(approved, last_word)) is None:
            try:
                async with self._turn(RequestKind.QUERY, "/orders"):
                    return await self._orders.send(self._orders.sign(approved, None), last_word=last_word)
            except Retryable as e:
                if e.was_answered:
                    raise
                await asyncio.sleep(max(e.after_ms, _RETRY_MS) / 1000)
        raise Retryable(reason)

    def _why_not_again(self, approved: Approved, last_word: LastWord) -> str | None:
        """Why an order whose answer was lost is not wanted any more, None while it is."""
        age_ms, most = (self._clock.now_ns() - approved.ts_ns) // NS_PER_MS, self._settings.resend_ms_max
        return f"approved {age_ms} ms ago, resend_ms_max={most}" if age_ms >= most else last_word()

    async def _take_back(self, venue_order_id: str, reason: str) -> OrderRow:
        """Cancel an order that was made too late; what the venue states of it. Raises `OutcomeUnknown` when that is
        not proved: it is looked up then, and taken back again."""
        _log.warning("an order that was made too late is cancelled", order=venue_order_id, reason=reason)
        try:
            return await self._rest.ask(cancel_order(venue_order_id), decode_order, endpoint="/orders")
        except _NOTHING_DONE as e:
            raise OutcomeUnknown(f"{venue_order_id}: made too late ({reason}), and its cancel failed: {e}") from e

    async def _find_sent(self, order: Order, one: Instrument) -> OrderRow | None:
        """The order under our id, or None once that is used up by one that can't trade."""
        stand_in = _stand_in(order, one)
        try:
            row = await self._rest.ask(self._place(stand_in), decode_order, endpoint="/orders")
        except RefusedByVenue as e:
            if not e.code.startswith(CONFLICT):
                raise
            row = await self._rest.ask(self._place(order), decode_order, endpoint="/orders")
        found = self._snapshot(row, order, one, 0)
        if (found.side, found.price, found.size) == (stand_in.side, stand_in.price, stand_in.size):
            if found.is_open:
                await self._rest.ask(cancel_order(found.venue_order_id), decode_order, endpoint="/orders")
            return None
        time, clock = self._rest.time, self._clock
        latest_ns = order.created_ns + 2 * time.now_ns() - time.earliest_ns() - clock.now_ns()
        late_ns = found.created_ns - latest_ns - self._settings.resend_ms_max * NS_PER_MS
        if found.is_open and late_ns > 0:
            return await self._take_back(found.venue_order_id, f"{late_ns // NS_PER_MS} ms after resend_ms_max")
        return row

    def _snapshot(self, row: OrderRow, order: Order, one: Instrument, asked_ns: int) -> OrderSnapshot:
        try:
            found = order_of(row, one, asked_ns, price=order.price)
        except ValueError as e:
            raise UnreadableAnswer(f"{order.client_order_id}: the order can't be read: {e}") from e
        return msgspec.structs.replace(found, client_order_id=order.client_order_id)


def _stand_in(order: Order, one: Instrument) -> Order:
    """The order that takes an id so that nothing else can: the smallest bid at the lowest price, which is never the
    order itself."""
    lowest = one.tick_bands[0]
    price = lowest.start if order.price > lowest.start else Price(lowest.start + lowest.step)
    return Order(
        client_order_id=order.client_order_id, venue=order.venue, strategy=order.strategy, instrument=order.instrument,
        side=Side.BUY, price=price, size=one.size_min,
    )  # fmt: skip
