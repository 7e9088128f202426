"""What the gate may look at: books, orders, exposures, trading states and budgets, as of the kernel's step."""

from __future__ import annotations

from collections.abc import Mapping

from framework.domain.account_events import TradingState
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.orders import Order
from framework.domain.views import BookView, BudgetView, ExposureView
from framework.state.accounts import Accounts
from framework.state.books import Books


class View:
    """Implements `RiskView` over the state itself: nothing is copied. The kernel calls `at` before each step."""

    def __init__(self, *, books: Books, accounts: Accounts, budgets: Mapping[str, BudgetView]) -> None:
        self.now_ns = 0
        self.monotonic_ns = 0
        self._books = books
        self._accounts = accounts
        self._budgets = budgets

    def at(self, now_ns: int, monotonic_ns: int) -> None:
        """Set the times of the step."""
        self.now_ns, self.monotonic_ns = now_ns, monotonic_ns

    def instrument(self, instrument: InstrumentId, /) -> Instrument | None:
        """The instrument, or None when no connector defined it."""
        return self._accounts.instruments.get(instrument)

    def book(self, instrument: InstrumentId, /) -> BookView | None:
        """The book, or None when none was ever received."""
        return self._books.get(instrument)

    def order(self, client_order_id: str, /) -> Order | None:
        """The order, or None."""
        return self._accounts.orders.get(client_order_id)

    def exposure(self, instrument: InstrumentId, /) -> ExposureView:
        """The whole account's exposure in an instrument."""
        return self._accounts.exposures.account(instrument)

    def strategy_exposure(self, strategy: str, instrument: InstrumentId, /) -> ExposureView:
        """One strategy's exposure in an instrument."""
        return self._accounts.exposures.of_strategy(strategy, instrument)

    def open_orders(self, *, strategy: str = "", venue: str = "") -> int:
        """Orders that have not ended, of a strategy or a venue or all."""
        return self._accounts.orders.open_count(strategy=strategy, venue=venue)

    def trading_state(self, *, strategy: str, instrument: InstrumentId, venue: str) -> TradingState:
        """The strictest state of all scopes that apply."""
        return self._accounts.trading.state(strategy=strategy, instrument=instrument, venue=venue)

    def is_connected(self, venue: str, /) -> bool:
        """Whether the venue's connector is up."""
        return self._books.is_connected(venue)

    def budget(self, venue: str, /) -> BudgetView | None:
        """The venue's budget, or None when its limits are not known yet."""
        return self._budgets.get(venue)
