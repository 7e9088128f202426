"""The gate's view: the state itself, nothing copied."""

from __future__ import annotations

from framework.domain.account_events import InstrumentDefined, StrategyQuarantined, TradingState
from framework.domain.instruments import InstrumentId
from framework.domain.market_events import BookSnapshot, ConnectorStatus
from framework.domain.numbers import Price, Size
from framework.domain.rate_limits import RequestKind
from framework.domain.views import BudgetView, ExposureView, PositionView, RiskView
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.risk_view import View
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, fill, new


class OpenBudget:
    """A budget that always has one request left."""

    def available(self, kind: RequestKind, strategy: str, /) -> int:
        return 1

    def wait_ns(self, kind: RequestKind, strategy: str, /) -> int:
        return 0


def test_view_when_the_state_moves_then_shows_it_at_once() -> None:
    books, accounts = Books(), Accounts()
    budgets: dict[str, BudgetView] = {}
    view: View = View(books=books, accounts=accounts, budgets=budgets)
    as_port: RiskView = view
    assert (as_port.book(MARKET), as_port.instrument(MARKET), as_port.order("c1")) == (None, None, None)
    assert not as_port.is_connected(VENUE)
    assert as_port.budget(VENUE) is None

    view.now_ns, view.monotonic_ns = 7, 3
    books.apply(ConnectorStatus(VENUE, True, "", 1), 1)
    books.apply(BookSnapshot(MARKET, 1, 1, ((Price(49), Size(5)),), ()), 1)
    budgets[VENUE] = OpenBudget()
    for record in (InstrumentDefined(INSTRUMENT, 1), new(), fill(size=4), StrategyQuarantined("taker", "raised", 1)):
        accounts.apply(record, 7)

    assert (as_port.now_ns, as_port.monotonic_ns) == (7, 3)
    book, order = as_port.book(MARKET), as_port.order("c1")
    assert book is not None
    assert order is not None
    assert (book.bid, order.filled, as_port.instrument(MARKET)) == (49, 4, INSTRUMENT)
    exposure: ExposureView = as_port.exposure(MARKET)
    assert (exposure.position, exposure.open_buy, exposure.open_sell, exposure.open_orders) == (4, 6, 0, 1)
    assert as_port.strategy_exposure("maker", MARKET) == exposure
    assert as_port.strategy_exposure("maker", InstrumentId("tide:B")).open_orders == 0
    assert (as_port.open_orders(), as_port.open_orders(strategy="maker"), as_port.open_orders(venue="ebb")) == (1, 1, 0)
    assert as_port.trading_state(strategy="taker", instrument=MARKET, venue=VENUE) is TradingState.HALTED
    assert as_port.is_connected(VENUE)
    assert as_port.budget(VENUE) is budgets[VENUE]


def test_position_when_used_as_the_port_then_fits() -> None:
    accounts = Accounts()
    accounts.apply(fill(name=""), 1)
    position: PositionView = accounts.positions.account(MARKET)
    assert (position.size, position.cost, position.realised, position.fees) == (10, 500, 0, 0)
