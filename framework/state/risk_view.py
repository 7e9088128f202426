"""What the gate may look at: books, orders, exposures, trading states and budgets, as of the kernel's step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from framework.domain.account_events import BalanceReport
from framework.domain.instruments import InstrumentId
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.views import BudgetView, PositionView
from framework.state.accounts import Accounts
from framework.state.books import Books


class DeclaredTerms(dict[str, VenueTerms]):
    """The terms of each venue as declared last, by its name; `UNDECLARED` of one that has declared none."""

    def __missing__(self, venue: str) -> VenueTerms:
        return UNDECLARED


class View:
    """Implements `RiskView` over the state itself: nothing is copied, every question goes to the part that answers it.

    `now_ns` (wall) and `monotonic_ns` are the times of the step in nanoseconds; the kernel sets them at its start. The
    questions are those of `framework.domain.views.RiskView`. Make a view once the state is restored: it keeps the parts
    that it finds.
    """

    def __init__(
        self,
        *,
        books: Books,
        accounts: Accounts,
        budgets: Mapping[str, BudgetView],
        terms: DeclaredTerms | None = None,
    ) -> None:
        self.now_ns = 0
        self.monotonic_ns = 0
        self.instrument = accounts.instruments.get
        self.book = books.get
        self.order = accounts.orders.get
        self.exposure = accounts.exposures.account
        self.strategy_exposure = accounts.exposures.of_strategy
        self.own_orders_met = accounts.exposures.own_prices.met_by
        self.trading_state = accounts.trading.state
        self.is_set = accounts.trading.is_set
        self.is_connected = books.is_connected
        self.budget = budgets.get
        self.terms = (DeclaredTerms() if terms is None else terms).__getitem__
        self.open_orders = accounts.orders.count_with_external
        self.funds_taken = accounts.funds_taken
        self._held = accounts.positions
        self._control_states = accounts.control_states
        self._balances = accounts.balances
        self._positions = accounts.venue_positions

    def balance(self, venue: str, currency: str, /) -> BalanceReport | None:
        """The venue's last report of a currency."""
        return self._balances.get((venue, currency))

    def positions(self) -> Iterable[tuple[str, InstrumentId]]:
        """Those of strategies, and under '' those of the account."""
        yield from (key for key, _ in self._held.strategies())
        yield from (("", instrument) for instrument, _ in self._held.accounts())

    def position(self, instrument: InstrumentId, strategy: str = "", /) -> PositionView:
        """The position of a strategy, or without one the account's."""
        return self._held.of_strategy(strategy, instrument) if strategy else self._held.account(instrument)

    def control_state(self, key: str, /) -> bytes:
        """What a check had recorded under this name last."""
        return self._control_states.get(key, b"")

    def leverage(self, instrument: InstrumentId, /) -> int | None:
        """The leverage of the position that the venue reported last, None where it states none."""
        report = self._positions.get(instrument)
        return None if report is None else report.leverage
