"""Views: what strategies and checks may see of books, positions, exposures and budgets, as Protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from framework.domain.account_events import TradingState
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import Order, Side
from framework.domain.rate_limits import RequestKind


class BookView(Protocol):
    """What strategies and checks may see of a book. Prices and sizes are scaled integers."""

    @property
    def instrument(self) -> InstrumentId:
        """Whose book it is."""
        ...

    @property
    def bid(self) -> Price | None:
        """Best bid, or None when nobody bids."""
        ...

    @property
    def ask(self) -> Price | None:
        """Best ask, or None when nobody offers."""
        ...

    @property
    def bid_size(self) -> Size:
        """Size at the best bid (0 = none)."""
        ...

    @property
    def ask_size(self) -> Size:
        """Size at the best ask (0 = none)."""
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
        """Venue time of the last change (0 = never)."""
        ...

    @property
    def stale_reason(self) -> str:
        """Why it is not fresh; empty when it is."""
        ...

    def age_ns(self, monotonic_ns: int) -> int:
        """How old the newest proof of this book is: time since it came plus how late it was by venue time."""
        ...

    def depth(self, side: Side, levels: int) -> Sequence[tuple[Price, Size]]:
        """The best `levels` levels of a side, best first."""
        ...


class ExposureView(Protocol):
    """Position and what could come on top of it in the worst case, for an account or for one strategy."""

    @property
    def position(self) -> Size:
        """Signed: long > 0."""
        ...

    @property
    def open_buy(self) -> Size:
        """Everything that could still be bought: working, in-flight and unknown orders, worst case of amends."""
        ...

    @property
    def open_sell(self) -> Size:
        """Everything that could still be sold."""
        ...

    @property
    def open_orders(self) -> int:
        """Orders that have not ended."""
        ...


class PositionView(Protocol):
    """A position with its profit and loss, from fills and fees alone."""

    @property
    def size(self) -> Size:
        """Signed: long > 0."""
        ...

    @property
    def cost(self) -> Money:
        """What the open position cost (signed like the size); average price = cost / size."""
        ...

    @property
    def realised(self) -> Money:
        """Realised profit before fees."""
        ...

    @property
    def fees(self) -> Money:
        """Fees paid."""
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
        """The kernel's wall time of this step."""
        ...

    @property
    def monotonic_ns(self) -> int:
        """The kernel's monotonic time of this step: ages and budgets are counted in it."""
        ...

    def instrument(self, instrument: InstrumentId, /) -> Instrument | None:
        """The instrument, or None when no connector defined it."""
        ...

    def book(self, instrument: InstrumentId, /) -> BookView | None:
        """The book, or None when none was ever received."""
        ...

    def order(self, client_order_id: str, /) -> Order | None:
        """The order, or None."""
        ...

    def exposure(self, instrument: InstrumentId, /) -> ExposureView:
        """The whole account's exposure in an instrument."""
        ...

    def strategy_exposure(self, strategy: str, instrument: InstrumentId, /) -> ExposureView:
        """One strategy's exposure in an instrument."""
        ...

    def open_orders(self, *, strategy: str = "", venue: str = "") -> int:
        """Orders that have not ended, of a strategy or a venue or all."""
        ...

    def trading_state(self, *, strategy: str, instrument: InstrumentId, venue: str) -> TradingState:
        """The strictest state of all scopes that apply."""
        ...

    def is_connected(self, venue: str, /) -> bool:
        """Whether the venue's connector is up."""
        ...

    def budget(self, venue: str, /) -> BudgetView | None:
        """The venue's budget, or None when its limits are not known yet."""
        ...


class Proposal(Protocol):
    """An intent in the form that checks judge: new orders and amends look alike.

    `size` is the total that may trade if it is approved, `open_size` the part not yet filled, `increase` how much
    more could trade than before (a new order: all of it; an amend: the growth, never negative).
    """

    @property
    def intent(self) -> NewOrder | AmendOrder:
        """The intent itself."""
        ...

    @property
    def strategy(self) -> str:
        """Who asks."""
        ...

    @property
    def instrument(self) -> Instrument:
        """On what."""
        ...

    @property
    def side(self) -> Side:
        """BUY or SELL."""
        ...

    @property
    def price(self) -> Price:
        """Limit price."""
        ...

    @property
    def open_size(self) -> Size:
        """What could trade after it."""
        ...

    @property
    def increase(self) -> Size:
        """How much more could trade than before it."""
        ...

    @property
    def order(self) -> Order | None:
        """The order that an amend changes; None for a new one."""
        ...

    @property
    def is_reducing(self) -> bool:
        """Whether it can only shrink the strategy's and the account's position, whatever else fills first."""
        ...
