"""Views: what strategies and checks may see of books, positions, exposures and budgets, as Protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from framework.domain.account_events import BalanceReport, LimitChanged, Scope, TradingState
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind
from framework.domain.terms import VenueTerms


class BookView(Protocol):
    """What strategies and checks may see of a book. Prices and sizes are scaled integers."""

    @property
    def instrument(self) -> InstrumentId:
        """The id of the instrument whose book this is, `venue:symbol`."""
        ...

    @property
    def bid(self) -> Price | None:
        """Best bid, scaled by the price decimals; None when there is none."""
        ...

    @property
    def ask(self) -> Price | None:
        """Best ask, scaled by the price decimals; None when there is none."""
        ...

    @property
    def bid_size(self) -> Size:
        """Total size at the best bid, scaled by the size decimals (0 = no bid)."""
        ...

    @property
    def ask_size(self) -> Size:
        """Total size at the best ask, scaled by the size decimals (0 = no ask)."""
        ...

    @property
    def is_fresh(self) -> bool:
        """Proved complete: a snapshot came and nothing was missed since. Age is a question of its own."""
        ...

    @property
    def is_two_sided(self) -> bool:
        """Both sides are there and not crossed."""
        ...

    @property
    def mid_twice(self) -> int | None:
        """Bid plus ask, which is twice the mid price without rounding; None unless two-sided."""
        ...

    @property
    def microprice(self) -> Price | None:
        """The mid weighted by the opposite side's best size, rounded to the nearest integer; None unless two-sided."""
        ...

    @property
    def ts_venue(self) -> int:
        """Venue time of the last change, in wall nanoseconds (0 = it never changed, or the venue gives no times)."""
        ...

    @property
    def stale_reason(self) -> str:
        """Why the book is not fresh, as a short text for logs and refusals; empty when it is fresh."""
        ...

    def age_ns(self, monotonic_ns: int) -> int:
        """Nanoseconds since the newest proof of this book, at the monotonic time given: time since it came plus how
        late it was by venue time."""
        ...

    def depth(self, side: Side, levels: int) -> Sequence[tuple[Price, Size]]:
        """At most `levels` levels of a side as (price, total size), both scaled, best first."""
        ...


class ExposureView(Protocol):
    """Position and what could come on top of it in the worst case, for an account or for one strategy."""

    @property
    def position(self) -> Size:
        """The net position, scaled by the size decimals and signed: long > 0."""
        ...

    @property
    def open_buy(self) -> Size:
        """Everything that could still be bought: working, in-flight and unknown orders, worst case of amends.
        Scaled by the size decimals, never negative."""
        ...

    @property
    def open_sell(self) -> Size:
        """Everything that could still be sold, counted like `open_buy`; never negative."""
        ...

    @property
    def open_orders(self) -> int:
        """How many orders have not ended: in-flight and unknown ones count too."""
        ...


class OwnPrice(msgspec.Struct, frozen=True, gc=False):
    """The price at which an own order may trade, scaled by the price decimals. `client_order_id` is empty for an open
    order at the venue that is not ours."""

    price: Price
    client_order_id: str


class StrategyExposure(msgspec.Struct, frozen=True):
    """What one strategy holds in an instrument, and what its orders may still add, per side.

    `position` is signed, long > 0. `open_buy` and `open_sell` are the most that its orders may still buy and sell.
    `in_flight_buy` and `in_flight_sell` are the parts of these that the venue has not confirmed as resting: new orders
    and enlargements without an answer, orders of unknown outcome, and what has traded by the venue's word and is not
    booked yet. All are scaled by the size decimals, and all but `position` are never negative.
    """

    position: Size
    open_buy: Size
    open_sell: Size
    in_flight_buy: Size
    in_flight_sell: Size


class PositionView(Protocol):
    """A position with its profit and loss, from fills and fees alone."""

    @property
    def size(self) -> Size:
        """The open position, scaled by the size decimals and signed: long > 0."""
        ...

    @property
    def cost(self) -> Money:
        """What the open position cost, as scaled `Money`, signed like the size; average price = cost / size."""
        ...

    @property
    def realised(self) -> Money:
        """Profit realised by closing trades and settlement, before fees, as scaled `Money`; negative = loss."""
        ...

    @property
    def fees(self) -> Money:
        """Fees paid so far, as scaled `Money`; negative when rebates outweigh them."""
        ...

    @property
    def funding(self) -> Money:
        """What funding of a perpetual has brought so far, as scaled `Money`; negative when more was paid. Not in
        `realised`."""
        ...


class BudgetView(Protocol):
    """What the venue's rate limits leave. Times are the kernel's."""

    def available(self, kind: RequestKind, strategy: str, /) -> int:
        """How many requests of `kind` the strategy could have approved now."""
        ...

    def wait_ns(self, kind: RequestKind, strategy: str, /) -> int:
        """Nanoseconds until one request of `kind` could be approved; 0 = now."""
        ...


class RiskView(Protocol):
    """Everything a check may look at. Reading it changes nothing."""

    @property
    def now_ns(self) -> int:
        """The kernel's wall time of this step, in nanoseconds."""
        ...

    @property
    def monotonic_ns(self) -> int:
        """The kernel's monotonic time of this step, in nanoseconds: ages and budgets are counted in it."""
        ...

    def instrument(self, instrument: InstrumentId, /) -> Instrument | None:
        """The instrument, or None when no connector defined it."""
        ...

    def book(self, instrument: InstrumentId, /) -> BookView | None:
        """The book, or None when none was ever received."""
        ...

    def order(self, client_order_id: str, /) -> Order | None:
        """The order with this client order id, ended ones included as long as they are kept; else None."""
        ...

    def exposure(self, instrument: InstrumentId, /) -> ExposureView:
        """The whole account's exposure in an instrument: orders of all strategies together, and open orders at the
        venue that are not ours."""
        ...

    def strategy_exposure(self, strategy: str, instrument: InstrumentId, /) -> ExposureView:
        """The part of the exposure in an instrument that is one strategy's own: its fills and its orders."""
        ...

    def own_orders_met(self, instrument: InstrumentId, side: Side, price: Price, /) -> Sequence[OwnPrice]:
        """The account's own orders that an order of `side` at `price` (scaled) could trade with, best price first:
        those of all strategies that may still trade, in flight and unknown ones too, and open orders at the venue that
        are not ours. An order whose amend is not answered counts with the better of both prices for the other side."""
        ...

    def open_orders(self, *, strategy: str = "", venue: str = "") -> int:
        """How many orders have not ended: of a strategy, at a venue, of the strategy at the venue, or all of them.
        Where no strategy is named, open orders at the venue that are not ours count too."""
        ...

    def trading_state(self, *, strategy: str, instrument: InstrumentId, venue: str) -> TradingState:
        """The strictest trading state of the four scopes that apply: global, venue, instrument, strategy."""
        ...

    def is_set(self, scope: Scope, target: str, state: TradingState, /) -> bool:
        """Whether this very state is set for this very scope and target ('' for the global one); other scopes are not
        looked at."""
        ...

    def is_connected(self, venue: str, /) -> bool:
        """Whether the venue's streams are up: connected and subscribed, by its last `ConnectorStatus`."""
        ...

    def budget(self, venue: str, /) -> BudgetView | None:
        """The venue's budget, or None when its limits are not known yet."""
        ...

    def terms(self, venue: str, /) -> VenueTerms:
        """What the venue offers, as its connector declared last; `VenueTerms()` before it did."""
        ...

    def balance(self, venue: str, currency: str, /) -> BalanceReport | None:
        """The venue's last report of a currency, with the wall time of its receipt; None when it has reported none."""
        ...

    def funds_taken(self, venue: str, currency: str, /) -> Mapping[tuple[InstrumentId, Side], int]:
        """What own orders have taken of the currency since that report, and with a minus what they gave back, by
        instrument and side: an order's value, scaled by the money decimals; of sales at a spot market the size, scaled
        by the size decimals."""
        ...

    def positions(self) -> Iterable[tuple[str, InstrumentId]]:
        """Every position that ever traded and has not left, by strategy and instrument; those of the account are under
        ''."""
        ...

    def position(self, instrument: InstrumentId, strategy: str = "", /) -> PositionView:
        """The position of a strategy, or without one the account's; a flat one when nothing was traded."""
        ...

    def control_state(self, key: str, /) -> bytes:
        """What a check had recorded under this name last, by this run or an earlier one (`ControlSaved`); empty at
        first."""
        ...

    def leverage(self, instrument: InstrumentId, /) -> int | None:
        """The leverage of the position as the venue reported it last; None where it has stated none."""
        ...


class Proposal(Protocol):
    """An intent in the form that checks judge: new orders and amends look alike.

    `size` is the total that may trade if it is approved, `open_size` the part not yet filled, `increase` how much
    more could trade than before (a new order: all of it; an amend: the growth, never negative).
    """

    @property
    def intent(self) -> NewOrder | AmendOrder:
        """The intent as the strategy gave it."""
        ...

    @property
    def strategy(self) -> str:
        """The name of the strategy that asks; of an amend, the owner of the order."""
        ...

    @property
    def instrument(self) -> Instrument:
        """The instrument that the order is for, as its connector defined it last."""
        ...

    @property
    def side(self) -> Side:
        """BUY or SELL, on a binary market always of YES; an amend can't change it."""
        ...

    @property
    def price(self) -> Price:
        """The limit price asked for, scaled by the price decimals; of an amend, the new one."""
        ...

    @property
    def open_size(self) -> Size:
        """The size that could still trade if it is approved, scaled by the size decimals: an amend's filled part is
        taken off."""
        ...

    @property
    def increase(self) -> Size:
        """How much more could trade than before it, scaled by the size decimals; 0 for an amend that shrinks the
        order."""
        ...

    @property
    def order(self) -> Order | None:
        """The order that an amend changes; None for a new one."""
        ...

    @property
    def is_reducing(self) -> bool:
        """Whether it can only shrink the strategy's and the account's position, whatever else fills first."""
        ...


class LimitView(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a check of the gate, as it counts now. Values are text as TOML writes them, empty where there is
    none. `configured` is what the configuration has; the rest says who changed it while it runs, when (wall
    nanoseconds) and why, and is empty where nobody did. `before` is only given for a change that is planned."""

    check: str
    key: str
    value: str
    configured: str
    by: str = ""
    since_ns: int = 0
    reason: str = ""
    before: str = ""

    def changed_by(self, change: LimitChanged) -> LimitView:
        """The same, with what the record of its change says."""
        return msgspec.structs.replace(self, by=change.by, since_ns=change.ts_recv, reason=change.reason)
