"""A market maker: one bid and one ask per instrument, around the microprice, leaning against its inventory.

With m the microprice of what *others* quote, t the tick there, q the position and s the order size:

    centre = m - skew_ticks * t * q / s          long inventory moves both quotes down, short inventory up
    bid    = centre - half_spread_ticks * t      rounded down to the grid, below the best ask of others
    ask    = centre + half_spread_ticks * t      rounded up to the grid, above the best bid of others

Quotes are post-only where the venue offers that. Elsewhere the book may move before they arrive, so they keep at least
`safety_ticks` away from the best price of the other side.

m = (bid * ask_size + ask * bid_size) / (bid_size + ask_size): where more is offered than bid, the price is nearer
to the bid. Own orders are taken out of the book first; else the quotes would follow themselves.

In this file: first the sums, then `Lane` (the pace of one side), then the strategy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from framework.domain.account_events import Fill
from framework.domain.instruments import Instrument, InstrumentId, InstrumentKind, InstrumentStatus
from framework.domain.intents import AmendOrder, CancelOrder
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, OrderStatus, Side
from framework.domain.ports import Desk
from framework.domain.rate_limits import RequestKind
from framework.domain.strategy import Strategy
from framework.domain.verdicts import RefusalCode, Refused, Verdict
from framework.domain.views import BookView
from strategies.legs import Exact

_NS_PER_MS = 1_000_000
_CHECK = "check"
_DEPTH_LEVELS = 3
"""Others' best level is behind at most two own ones: an open order, and one that has just gone."""
_ECHO_NS = 500 * _NS_PER_MS
"""How long the book may still show an own size that has gone: the two reach us by different ways."""
_CHANGEABLE = frozenset({OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED})


class MarketMakerSettings(BaseModel):
    """How it quotes. Sizes are exact decimals in contracts or coins, distances in ticks, times in milliseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Exact = Field(gt=0, allow_inf_nan=False, description="Size of each quote.")
    position_max: Exact = Field(
        gt=0, allow_inf_nan=False, description="Largest long position: bids shrink and end as it comes near."
    )
    short_max: Exact | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Largest short position. None: as position_max, but 0 on spot, where only coins that were bought "
        "can be sold.",
    )
    half_spread_ticks: int = Field(1, ge=1, description="Distance of each quote from the centre, in ticks.")
    skew_ticks: int = Field(1, ge=0, description="How many ticks one `size` of inventory moves both quotes.")
    requote_ticks: int = Field(1, ge=1, description="Quotes stay while they are less than this off their target.")
    interval_ms_min: int = Field(250, ge=0, description="Shortest time between two requests for the same quote.")
    backoff_ms_max: int = Field(30_000, gt=0, description="Longest pause of a side after repeated refusals.")
    age_ms_max: int = Field(5_000, gt=0, description="Quotes are pulled when the book is older.")
    stop_before_close_ms: int = Field(60_000, ge=0, description="Quotes are pulled this long before the close.")
    post_only: bool | Literal["where_offered"] = Field(
        "where_offered", description="Whether quotes are post-only: true, false, or where the venue offers it."
    )
    safety_ticks: int = Field(
        1,
        ge=1,
        description="Least distance from the best price of the other side, in ticks, of quotes without post-only.",
    )
    amend: bool = Field(True, description="Move quotes by amending where that is cheaper; false: cancel, then new.")


class Sizes(NamedTuple):
    """The settings' sizes in an instrument's own scaled integers."""

    quote: Size
    position_max: Size
    short_max: Size


def scale_sizes(settings: MarketMakerSettings, instrument: Instrument) -> Sizes:
    """The settings' sizes for one instrument. Raises `ValueError` when one has more digits than the instrument."""
    short_max = settings.short_max
    if short_max is None:
        short_max = Decimal(0) if instrument.kind is InstrumentKind.SPOT else settings.position_max
    return Sizes(instrument.size(settings.size), instrument.size(settings.position_max), instrument.size(short_max))


class Quote(NamedTuple):
    """What one side should show: price and size, scaled by the instrument's decimals."""

    price: Price
    size: Size


class Outside(NamedTuple):
    """The best bid and ask that others show, with their sizes, all scaled."""

    bid: Price
    bid_size: Size
    ask: Price
    ask_size: Size

    @property
    def microprice(self) -> int:
        """The mid weighted by the opposite sizes: a scaled price, rounded to the nearest integer."""
        weight = self.bid_size + self.ask_size
        return (2 * (self.bid * self.ask_size + self.ask * self.bid_size) + weight) // (2 * weight)


def best_of_others(book: BookView, ours: Mapping[tuple[Side, Price], int]) -> Outside | None:
    """The best bid and ask without our own sizes; None when others leave a side empty."""
    bid, ask = _best_of_others(book, Side.BUY, ours), _best_of_others(book, Side.SELL, ours)
    return Outside(*bid, *ask) if bid and ask else None


def _best_of_others(book: BookView, side: Side, ours: Mapping[tuple[Side, Price], int]) -> tuple[Price, Size] | None:
    for price, size in book.depth(side, _DEPTH_LEVELS):
        theirs = size - ours.get((side, price), 0)
        if theirs > 0:
            return price, Size(theirs)
    return None


def quote_prices(
    instrument: Instrument,
    others: Outside,
    *,
    position: Size,
    size: Size,
    settings: MarketMakerSettings,
    is_post_only: bool = True,
) -> dict[Side, Price]:
    """The formula at the top of this file; a side whose price lies outside the grid is left out."""
    micro = others.microprice
    tick = instrument.tick_at(Price(micro))
    centre = micro - settings.skew_ticks * tick * position // size
    reach = settings.half_spread_ticks * tick
    # A post-only quote only has to be behind the other side's best; the grid rounds it to the next tick.
    apart = 1 if is_post_only else settings.safety_ticks * tick
    prices = {}
    with suppress(ValueError):
        prices[Side.BUY] = instrument.round_down(Price(min(centre - reach, others.ask - apart)))
    with suppress(ValueError):
        prices[Side.SELL] = instrument.round_up(Price(max(centre + reach, others.bid + apart)))
    return prices


def crosses(side: Side, price: Price, own: Sequence[Order]) -> bool:
    """Whether an order would meet an own one of the other side, at the worse of its price and an amend of it."""
    return any(
        (theirs - price) * side.sign <= 0
        for order in own
        if order.side is not side
        for theirs in (order.price, order.price if order.amend_price is None else order.amend_price)
    )


def _fit(instrument: Instrument, size: Size, room: int) -> Size:
    fitting = max(min(size, room), 0)
    return Size(fitting - fitting % instrument.lot)


class Lane:
    """One side of one instrument: when it may ask again, and what it asked for last.

    After a request it waits the minimum interval, after refusals in a row twice as long each time.
    """

    __slots__ = (
        "_gone",
        "_gone_ns",
        "_interval_ns",
        "_longest_ns",
        "_not_before_ns",
        "_shown",
        "amend_price",
        "pulled_id",
        "pulled_ns",
        "refusals",
    )

    def __init__(self, settings: MarketMakerSettings) -> None:
        self._interval_ns = max(settings.interval_ms_min, 1) * _NS_PER_MS
        self._longest_ns = settings.backoff_ms_max * _NS_PER_MS
        self._not_before_ns: int | None = None
        self.refusals = 0
        self.amend_price: Price | None = None
        self.pulled_id = ""
        self.pulled_ns = 0
        self._shown: Quote | None = None
        self._gone: Quote | None = None
        self._gone_ns = 0

    def traces(self, shown: Sequence[Quote], monotonic_ns: int) -> list[Quote]:
        """Own sizes that the book may show: those that are open, and what filled, moved or ended within `_ECHO_NS`."""
        now = shown[0] if shown else None
        if self._shown is not None and self._shown != now:
            kept = now.size if now is not None and now.price == self._shown.price else 0
            self._gone = Quote(self._shown.price, Size(max(self._shown.size - kept, 0)))
            self._gone_ns = monotonic_ns
        self._shown = now
        return [*shown, self._gone] if self._gone and monotonic_ns - self._gone_ns < _ECHO_NS else list(shown)

    def is_due(self, monotonic_ns: int) -> bool:
        """Whether this side may send a request at `monotonic_ns`: its interval, or its wait after refusals, is over."""
        return self._not_before_ns is None or monotonic_ns >= self._not_before_ns

    def may_pull(self, order: Order, monotonic_ns: int) -> bool:
        """Whether the order may be asked to end: at once, but the same one again only after the interval."""
        return self.pulled_id != order.client_order_id or monotonic_ns >= self.pulled_ns + self._interval_ns

    def note(self, verdict: Verdict, monotonic_ns: int, *, amend_price: Price | None = None) -> None:
        """Take in the gate's verdict on a request: the interval begins, or the wait after a refusal."""
        if isinstance(verdict, Refused):
            self.refused(monotonic_ns)
        else:
            self._not_before_ns = monotonic_ns + self._interval_ns
            self.amend_price = amend_price

    def refused(self, monotonic_ns: int) -> None:
        """Wait after a refusal of the gate or the venue: twice as long for each in a row, at most `backoff_ms_max`."""
        # The shift is bounded: after hours of refusals the number would grow without an end.
        wait_ns = self._interval_ns << min(self.refusals, 32)
        self._not_before_ns = monotonic_ns + min(wait_ns, self._longest_ns)
        self.refusals += 1

    def confirmed(self, order: Order, monotonic_ns: int) -> None:
        """Take in what became of the order: rejected, or an amend that did not come through, count as refusals."""
        if order.status is OrderStatus.REJECTED:
            self.refused(monotonic_ns)
        elif order.status in _CHANGEABLE and order.amend_price is None:
            if self.amend_price not in (None, order.price):
                self.refused(monotonic_ns)
            else:
                self.refusals = 0
            self.amend_price = None


class MarketMaker(Strategy[MarketMakerSettings]):
    """Keeps one bid and ask per instrument at their targets, one request per side in flight.

    Whatever happens leads to `_quote`, which compares the orders that are open with what should be: so a restart,
    a rejection or an adopted order needs no case of its own.
    """

    Settings: ClassVar[type[MarketMakerSettings]] = MarketMakerSettings
    needs_all_venues = False  # each market is quoted by itself

    def __init__(self, name: str, settings: MarketMakerSettings, desk: Desk) -> None:
        super().__init__(name, settings, desk)
        self._lanes: dict[tuple[InstrumentId, Side], Lane] = {}
        self._sizes: dict[InstrumentId, Sizes] = {}

    def on_start(self) -> None:
        """Begin to quote, and look again at intervals: an ageing book sends no event."""
        for each in self.desk.instruments:
            self._begin(self.desk.instrument(each))
        self.on_timer(_CHECK)

    def on_instrument(self, instrument: Instrument) -> None:
        """Quote one more instrument from now on, or none of one that settled."""
        if instrument.id in self.desk.instruments:
            self._begin(instrument)
        self._sizes = {one: sizes for one, sizes in self._sizes.items() if one in self.desk.instruments}
        self._lanes = {key: lane for key, lane in self._lanes.items() if key[0] in self.desk.instruments}

    def on_timer(self, name: str) -> None:
        """Compare every instrument's quotes with their targets again, and set the next check."""
        for instrument in self.desk.instruments:
            self._quote(instrument)
        self.desk.set_timer(_CHECK, after_ms=min(max(self.settings.age_ms_max // 2, 1), 1_000))

    def on_book(self, book: BookView) -> None:
        """Compare the quotes with their targets: the market moved, or its book became stale."""
        self._quote(book.instrument)

    def on_fill(self, fill: Fill, order: Order) -> None:
        """Compare the quotes with their targets: the inventory moved, and both lean with it."""
        self._quote(order.instrument)

    def on_order(self, order: Order) -> None:
        """Take in what became of an own order, then compare the quotes with their targets."""
        lane = self._lanes.get((order.instrument, order.side))
        if lane is not None:
            lane.confirmed(order, self.desk.monotonic_ns)
        self._quote(order.instrument)

    def _begin(self, instrument: Instrument) -> None:
        self._sizes[instrument.id] = scale_sizes(self.settings, instrument)
        self._lanes |= {(instrument.id, side): Lane(self.settings) for side in Side}

    def _quote(self, instrument_id: InstrumentId) -> None:
        if (instrument_id, Side.BUY) not in self._lanes:
            return  # An adopted order of an instrument that is not ours to quote.
        instrument = self.desk.instrument(instrument_id)
        own = self.desk.orders(instrument_id)
        targets = self._targets(instrument, own)
        for side in Side:
            self._move(instrument, side, targets.get(side), own)

    def _targets(self, instrument: Instrument, own: Sequence[Order]) -> dict[Side, Quote]:
        """What each side should show; a side that should show nothing is left out."""
        book, ours = self.desk.book(instrument.id), self._ours(instrument, own)
        others = best_of_others(book, ours) if self._may_quote(instrument, book) else None
        if others is None:
            return {}
        position = self.desk.position(instrument.id).size
        sizes = self._sizes[instrument.id]
        prices = quote_prices(
            instrument,
            others,
            position=position,
            size=sizes.quote,
            settings=self.settings,
            is_post_only=self._is_post_only(instrument),
        )
        room = {Side.BUY: sizes.position_max - position, Side.SELL: sizes.short_max + position}
        quotes = {side: Quote(price, _fit(instrument, sizes.quote, room[side])) for side, price in prices.items()}
        return {
            side: quote
            for side, quote in quotes.items()
            if quote.size >= max(instrument.size_min, 1) and quote.price * quote.size >= instrument.notional_min
        }

    def _ours(self, instrument: Instrument, own: Sequence[Order]) -> dict[tuple[Side, Price], int]:
        """What of the book is our own, or was until just now, per side and price."""
        ours: dict[tuple[Side, Price], int] = {}
        for side in Side:
            shown = [Quote(o.price, o.remaining) for o in own if o.side is side and o.status.is_at_venue]
            for price, size in self._lanes[instrument.id, side].traces(shown, self.desk.monotonic_ns):
                ours[side, price] = ours.get((side, price), 0) + size
        return ours

    def _may_quote(self, instrument: Instrument, book: BookView) -> bool:
        settings = self.settings
        close_ns = instrument.close_ns - settings.stop_before_close_ms * _NS_PER_MS
        return (
            instrument.status is InstrumentStatus.ACTIVE
            and (instrument.close_ns == 0 or self.desk.now_ns < close_ns)
            and book.is_fresh
            and book.is_two_sided
            and book.age_ns(self.desk.monotonic_ns) <= settings.age_ms_max * _NS_PER_MS
        )

    def _move(self, instrument: Instrument, side: Side, target: Quote | None, own: Sequence[Order]) -> None:
        """Bring one side from what is open to its target, by at most one request."""
        mine = [order for order in own if order.side is side]
        for surplus in mine[1:] if target else mine:
            self._cancel(surplus)
        if target is None:
            return
        if not mine:
            self._place(instrument, side, target, own)
            return
        current = mine[0]
        if current.status in _CHANGEABLE and not current.cancel_wanted and self._is_off(instrument, current, target):
            self._change(instrument, current, target, own)

    def _is_off(self, instrument: Instrument, order: Order, target: Quote) -> bool:
        distance_max = self.settings.requote_ticks * instrument.tick_at(target.price)
        return abs(order.price - target.price) >= distance_max or order.remaining > target.size

    def _place(self, instrument: Instrument, side: Side, target: Quote, own: Sequence[Order]) -> None:
        lane = self._lanes[instrument.id, side]
        if self._may_ask(instrument, lane, RequestKind.NEW) and not crosses(side, target.price, own):
            handle = self.place(
                side,
                instrument.id,
                target.price,
                target.size,
                post_only=self._is_post_only(instrument),
                deadline_ns=self._deadline_ns(),
            )
            lane.note(handle.verdict, self.desk.monotonic_ns)

    def _change(self, instrument: Instrument, order: Order, target: Quote, own: Sequence[Order]) -> None:
        """Amend in place where that is cheaper; else end the order, and its end leads to a new one."""
        lane = self._lanes[instrument.id, order.side]
        kind = RequestKind.AMEND if self._amends(instrument) else RequestKind.NEW
        if not self._may_ask(instrument, lane, kind) or crosses(order.side, target.price, own):
            return
        if kind is RequestKind.NEW:
            self._cancel(order)
            return
        amend = AmendOrder(
            strategy=self.name,
            client_order_id=order.client_order_id,
            price=target.price,
            size=Size(order.filled + target.size),
            deadline_ns=self._deadline_ns(),
        )
        verdict = self.desk.submit(amend)
        lane.note(verdict, self.desk.monotonic_ns, amend_price=target.price)
        if isinstance(verdict, Refused) and verdict.code is RefusalCode.ORDER_SIZE_MAX:
            # With what it has traded it would come to more than one order may: the next one begins anew.
            self._cancel(order)

    def _is_post_only(self, instrument: Instrument) -> bool:
        wanted = self.settings.post_only
        return wanted if isinstance(wanted, bool) else self.desk.terms(instrument.venue).post_only

    def _amends(self, instrument: Instrument) -> bool:
        """Whether an amend takes less of what is left than a cancel and a new order: 1/a <= 1/c + 1/n."""
        budget = self.desk.budget(instrument.venue)
        if budget is None or not self.settings.amend or not self.desk.terms(instrument.venue).amend:
            return False
        amends = budget.available(RequestKind.AMEND, self.name)
        cancels = budget.available(RequestKind.CANCEL, self.name)
        news = budget.available(RequestKind.NEW, self.name)
        return amends * (cancels + news) >= cancels * news

    def _may_ask(self, instrument: Instrument, lane: Lane, kind: RequestKind) -> bool:
        """Whether the pace and the budget allow it, with a cancel left for every open order."""
        budget = self.desk.budget(instrument.venue)
        return (
            budget is not None
            and lane.is_due(self.desk.monotonic_ns)
            and budget.available(kind, self.name) > 0
            and budget.available(RequestKind.CANCEL, self.name) > len(self.desk.orders())
        )

    def _cancel(self, order: Order) -> None:
        if order.cancel_wanted or not order.status.may_trade or order.status is OrderStatus.CANCEL_REQUESTED:
            return
        lane = self._lanes[order.instrument, order.side]
        if lane.may_pull(order, self.desk.monotonic_ns):
            lane.pulled_id, lane.pulled_ns = order.client_order_id, self.desk.monotonic_ns
            self.desk.submit(CancelOrder(strategy=self.name, client_order_id=order.client_order_id))

    def _deadline_ns(self) -> int:
        """A quote that would leave later than this comes from a book too old to quote on."""
        return self.desk.now_ns + self.settings.age_ms_max * _NS_PER_MS
