"""Polling of own orders and fills, for venues that do not stream them: often while orders are open, else seldom.

A venue writes `AccountReads`, and says with `AccountPoll.watch` which orders it has taken. Where open orders can be
listed, an order that leaves the list is looked up; where they can't, each order is looked up by itself, at once when
the market reaches its price, else every now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from connectors.client.polling.market import PollHealth
from connectors.client.turns import Turns
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.decimals import NS_PER_MS
from framework.domain.account_events import Fill, OrderSnapshot
from framework.domain.errors import OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.instruments import InstrumentId
from framework.domain.numbers import Price
from framework.domain.orders import Side
from framework.domain.ports import Clock
from framework.domain.venue import Publish

ACCOUNT = "account"
"""The lane of own orders and fills."""

LOOKUPS_MAX = 10
"""Orders that are looked up in one turn: the others follow in the next ones."""

MISSES_MAX = 10
"""So many look-ups of an order find nothing before it is given up."""

_KNOWN_MAX = 10_000
_TICK_MS = 50
_TOUCHED_MS = 200
"""So soon after the last turn begins one that a public trade has asked for."""
_TOGETHER, _PARTS = 4, 6
"""Of orders that come together so many are looked up in one turn, the others in so many other parts of the interval."""
_log = structlog.get_logger("poll")


class WatchedOrder(msgspec.Struct, frozen=True):
    """An own order that the venue has taken and that may be open. `since_ns` is monotonic."""

    venue_order_id: str
    instrument: InstrumentId
    side: Side
    price: Price
    since_ns: int


class OrderWatch:
    """Which orders are to be looked up now. Pure; times are monotonic nanoseconds.

    An order is looked up every `interval_ns`, and as soon as the market has reached its price, at the pace of `Turns`.
    """

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self.orders: dict[str, WatchedOrder] = {}
        """By the venue's id. Written here only."""
        self._asked_ns: dict[str, int] = {}
        self._misses: dict[str, int] = {}
        self._turns = Turns()
        self._added = 0
        self._ahead_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<OrderWatch orders={len(self.orders)} {self._turns!r}>"

    def add(self, order: WatchedOrder) -> None:
        """Watch an order; one that is watched keeps its turn and takes its new price. The first turns of many
        that come together are spread over the interval, and with them all later ones."""
        if order.venue_order_id not in self.orders:
            self._ahead_ns[order.venue_order_id] = self._interval_ns * (self._added // _TOGETHER % _PARTS) // _PARTS
            self._asked_ns[order.venue_order_id] = order.since_ns - self._ahead_ns[order.venue_order_id]
            self._added += 1
        self.orders[order.venue_order_id] = order

    def forget(self, venue_order_id: str) -> None:
        """The order has ended."""
        self.orders.pop(venue_order_id, None)
        self._asked_ns.pop(venue_order_id, None)
        self._ahead_ns.pop(venue_order_id, None)
        self._misses.pop(venue_order_id, None)
        self._turns.forget(venue_order_id)

    def miss(self, venue_order_id: str) -> None:
        """A look-up did not find the order. After `MISSES_MAX` of them it is not watched any more: the comparison of
        the account decides what became of it."""
        self._misses[venue_order_id] = self._misses.get(venue_order_id, 0) + 1
        if self._misses[venue_order_id] >= MISSES_MAX:
            self.forget(venue_order_id)

    def want(self, venue_order_id: str, now_ns: int) -> None:
        """Have a watched order looked up soon."""
        if venue_order_id in self.orders:
            self._turns.want(venue_order_id, now_ns, was_well=True)

    def changed(self, venue_order_id: str) -> None:
        """A look-up showed a change: the next one need not wait longer than the first did."""
        self._turns.ease(venue_order_id)

    def touch(self, instrument: InstrumentId, price: Price, now_ns: int) -> bool:
        """A public trade was made at this price: it may have filled the orders that bid it or more, or ask it or
        less. Whether one of them can be looked up now."""
        is_free = False
        for order in self.orders.values():
            reaches = order.price >= price if order.side is Side.BUY else order.price <= price
            if order.instrument == instrument and reaches:
                self._turns.want(order.venue_order_id, now_ns, was_well=True)
                is_free = is_free or self._turns.is_free(order.venue_order_id, now_ns)
        return is_free

    def take(self, now_ns: int, *, is_listed: bool) -> tuple[str, ...]:
        """The orders to look up now, at most `LOOKUPS_MAX`, those first that wait longest. `is_listed`: the list shows
        whether they are open, so only what is wanted is looked up."""
        wanted = self._turns.take(now_ns)
        due = [] if is_listed else [one for one, at in self._asked_ns.items() if now_ns - at >= self._interval_ns]
        chosen = dict.fromkeys((*wanted, *sorted(due, key=self._asked_ns.__getitem__)))
        taken = [one for one in chosen if one in self.orders][:LOOKUPS_MAX]
        for one in [one for one in wanted if one not in taken]:
            self._turns.want(one, now_ns, was_well=False)
        # Those that were wanted together would else be due together from now on.
        self._asked_ns |= {one: now_ns if one in due else now_ns - self._ahead_ns[one] for one in taken}
        return tuple(taken)


class AccountReads(Protocol):
    """A venue's reads of the account. All wait for their part of the rate budget and raise like reads."""

    async def list_open(self) -> Sequence[OrderSnapshot] | None:
        """Every open order, None where the venue can't list them."""
        ...

    async def read_order(self, venue_order_id: str, /) -> OrderSnapshot | None:
        """One order, open or ended; None when the venue does not show it."""
        ...

    async def list_fills(self, since_ns: int, /) -> Iterable[Fill] | None:
        """The fills since a venue time, oldest first, a few older ones may come along; None where they can't be
        listed."""
        ...


class AccountPace(msgspec.Struct, frozen=True):
    """How often the account is read, in milliseconds: while orders are open, and otherwise. `order_ms`: how often one
    order is looked up where orders can't be listed. `read_lag_ms`: reads may lag so far behind writes."""

    open_ms: int = 1_000
    idle_ms: int = 5_000
    order_ms: int = 12_000
    read_lag_ms: int = 2_000


class AccountPoll:
    """Polls own orders and fills until cancelled. What has not changed is not published again."""

    def __init__(
        self,
        venue: str,
        reads: AccountReads,
        health: PollHealth,
        *,
        clock: Clock,
        time: VenueTime,
        publish: Publish,
        pace: AccountPace,
        has_vague_ends: bool = False,
    ) -> None:
        """`has_vague_ends`: an order that has ended does not state how much of it has traded. Such an end is published
        as a cancel that is under way: the comparison looks it up and ends it once the position agrees."""
        self._venue = venue
        self._reads = reads
        self._health = health
        self._clock = clock
        self._time = time
        self._publish = publish
        self._pace = pace
        self._has_vague_ends = has_vague_ends
        self.orders = OrderWatch(pace.order_ms * NS_PER_MS)
        self._states: dict[str, OrderSnapshot] = {}
        self._fills: dict[str, None] = {}
        self._since_ns = -1
        self._due_ns = 0
        self._begun_ns = 0

    def __repr__(self) -> str:
        return f"<AccountPoll {self._venue} {self.orders!r}>"

    def watch(self, venue_order_id: str, instrument: InstrumentId, side: Side, price: Price) -> None:
        """The venue has taken an own order, or has changed it: the account is read at the pace of open orders."""
        self.orders.add(WatchedOrder(venue_order_id, instrument, side, price, self._clock.monotonic_ns()))
        self.hurry()

    def hurry(self) -> None:
        """Something of ours has probably changed: read the account sooner."""
        self._due_ns = min(self._due_ns, self._clock.monotonic_ns() + self._pace.open_ms * NS_PER_MS // 2)

    def touch(self, instrument: InstrumentId, price: Price) -> None:
        """A public trade was made at this price: look up at once the orders that it may have filled."""
        if self.orders.touch(instrument, price, self._clock.monotonic_ns()):
            self._due_ns = min(self._due_ns, self._begun_ns + _TOUCHED_MS * NS_PER_MS)

    async def run(self) -> None:
        """Poll until cancelled. Raises `Fatal` and `AccountRefused` of a read."""
        self._health.begin(ACCOUNT)
        while True:
            now_ns = self._clock.monotonic_ns()
            if now_ns < self._due_ns:
                await asyncio.sleep(_TICK_MS / 1000)
                continue
            pace = self._pace.open_ms if self.orders.orders else self._pace.idle_ms
            self._begun_ns, self._due_ns = now_ns, now_ns + pace * NS_PER_MS
            await self._turn()

    async def _turn(self) -> None:
        try:
            await self._read()
        except (UnreadableAnswer, ValueError, RefusedByVenue, Retryable, OutcomeUnknown) as e:
            _log.warning("the account can't be read", venue=self._venue, reason=str(e))
            self._health.fail(ACCOUNT, str(e))
            self.hurry()
        else:
            self._health.succeed(ACCOUNT)

    async def _read(self) -> None:
        """Orders are read before fills and published after them: an order's end comes with the fills that made it."""
        asked_ns, ts_asked = self._clock.monotonic_ns(), self._clock.now_ns()
        listed = await self._reads.list_open()
        found = [] if listed is None else list(listed)
        self._note_gone(found if listed is not None else None, asked_ns)
        taken = self.orders.take(asked_ns, is_listed=listed is not None)
        try:
            found += [one for each in taken if (one := await self._look_up(each)) is not None]
            await self._publish_fills()
        except (Retryable, OutcomeUnknown, RefusedByVenue, ValueError):
            # Nothing of this turn is published, so these are read again soon.
            for each in taken:
                self.orders.want(each, asked_ns)
            raise
        for one in found:
            # A read is as old as its question.
            self._publish_order(msgspec.structs.replace(one, ts_recv=ts_asked), asked_ns)
        for gone in self._states.keys() - self.orders.orders.keys():
            del self._states[gone]

    async def _look_up(self, venue_order_id: str) -> OrderSnapshot | None:
        """One order. An answer that is of no use counts as a miss: the other orders don't wait for it."""
        try:
            one = await self._reads.read_order(venue_order_id)
        except (UnreadableAnswer, ValueError, RefusedByVenue) as e:
            _log.warning("an order can't be read", venue=self._venue, order=venue_order_id, reason=str(e))
            one = None
        if one is None:
            self.orders.miss(venue_order_id)
        return one

    def _note_gone(self, listed: Sequence[OrderSnapshot] | None, asked_ns: int) -> None:
        """Have the orders looked up that the list should show and does not."""
        if listed is None:
            return
        shown = {one.venue_order_id for one in listed}
        lag_ns = self._pace.read_lag_ms * NS_PER_MS
        for venue_order_id, order in self.orders.orders.items():
            if venue_order_id not in shown and asked_ns - order.since_ns >= lag_ns:
                self.orders.want(venue_order_id, asked_ns)

    async def _publish_fills(self) -> None:
        lag_ns = self._pace.read_lag_ms * NS_PER_MS
        if self._since_ns < 0:
            # What was filled before this run is found by the comparison that each start begins with.
            self._since_ns = max(0, self._time.now_ns() - lag_ns)
        for fill in await self._reads.list_fills(self._since_ns) or ():
            self._since_ns = max(self._since_ns, fill.ts_venue - lag_ns)
            if fill.fill_id not in self._fills:
                self._fills[fill.fill_id] = None
                self._publish(fill)
        for old in list(self._fills)[:-_KNOWN_MAX]:
            del self._fills[old]

    def _publish_order(self, one: OrderSnapshot, asked_ns: int) -> None:
        if not one.is_open:
            self.orders.forget(one.venue_order_id)
        else:
            known = self.orders.orders.get(one.venue_order_id)
            since_ns = asked_ns if known is None else known.since_ns
            self.orders.add(WatchedOrder(one.venue_order_id, one.instrument, one.side, one.price, since_ns))
        said = msgspec.structs.replace(one, ts_recv=0)
        if self._states.get(one.venue_order_id) != said:
            is_vague = self._has_vague_ends and not one.is_open and one.filled < one.size
            self._publish(msgspec.structs.replace(one, is_open=True, is_cancelling=True) if is_vague else one)
            self.orders.changed(one.venue_order_id)
        self._states[one.venue_order_id] = said
