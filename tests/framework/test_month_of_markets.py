"""A month of 15-minute markets in virtual time: what is kept does not grow, and the profit is exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.client.instruments import InstrumentRegistry, Selection
from framework.domain.account_events import InstrumentDefined, InstrumentSettled
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.market_events import BookSnapshot
from framework.domain.numbers import Price, Size
from framework.domain.strategy import Strategy
from framework.engine.universe import InstrumentPattern
from framework.state.accounts import Accounts
from framework.state.orders.index import ENDED_KEPT_MAX
from framework.state.purged import PurgeSchedule
from framework.testing import TradingHarness
from tests.connectors.kalshi.support import FEES, define, instrument, market

SERIES = ("KXA15M", "KXB15M", "KXC15M", "KXD15M")
QUARTER_NS = 900_000_000_000
QUARTERS_A_DAY = 96
DAYS = 30
STEADY_DAY = ENDED_KEPT_MAX // (QUARTERS_A_DAY * len(SERIES)) + 1
"""From this day on as many ended orders are kept as ever are."""
PRICE = 4_000


class Buyer(Strategy[None]):
    """Buys a contract in each market that opens."""

    def on_start(self) -> None:
        for one in self.desk.instruments:
            self.on_instrument(self.desk.instrument(one))

    def on_instrument(self, instrument: Instrument) -> None:
        if instrument.id in self.desk.instruments:
            self.buy(instrument.id, Price(PRICE), Size(100))


class Month:
    """The markets of all series, one after the other: the real kernel and the connector's real registry."""

    def __init__(self) -> None:
        self.registry = InstrumentRegistry("kalshi", Selection(("*",)), followed_max=2 * len(SERIES))
        self.harness = TradingHarness(instruments=[instrument()])
        self.buyer = self.harness.add("buyer", Buyer, pattern=InstrumentPattern(("kalshi:KX?15M-*",), 2 * len(SERIES)))
        self.schedule = PurgeSchedule(self.accounts, self.harness.publish, self.harness.clock)
        self.open: list[str] = []
        self.profit = 0

    @property
    def accounts(self) -> Accounts:
        """The state."""
        return self.harness._core.accounts

    def pass_quarter(self, number: int) -> None:
        """The markets that are open end and settle, the next ones open and are bought."""
        self.harness.clock.advance(QUARTER_NS)
        for place, ticker in enumerate(self.open):
            self.settle(ticker, is_yes=(number + place) % 3 == 0)
        self.open = [f"{series}-Q{number:05d}-T1" for series in SERIES]
        for ticker in self.open:
            self.trade(ticker)
        self.schedule.look()

    def trade(self, ticker: str) -> None:
        """One market opens, is quoted, and the buyer's bid is taken."""
        (defined,) = define(self.registry, market(ticker, close_time=None), FEES, ts_recv=1)
        self.registry.follow([ticker])
        assert isinstance(defined, InstrumentDefined)
        self.harness.venue.list_instrument(defined.instrument)
        of = defined.instrument.id
        self.harness.publish(BookSnapshot(of, 1, 1, ((Price(3_900), Size(100)),), ((Price(4_100), Size(100)),)))
        (order,) = self.harness.orders("buyer", of)
        self.harness.venue.fill(order)
        self.profit -= PRICE * 100

    def settle(self, ticker: str, *, is_yes: bool) -> None:
        """One market is finalized."""
        result = "yes" if is_yes else "no"
        for event in define(self.registry, market(ticker, status="finalized", result=result), FEES, ts_recv=2):
            self.harness.publish(event)
            if isinstance(event, InstrumentSettled):
                self.profit += event.value * 100
        self.harness.venue.orders.clear()
        self.harness.venue._instruments.pop(InstrumentId(f"kalshi:{ticker}"))

    def booked(self) -> int:
        """The realised profit of the buyer before fees, in the state."""
        here = sum(one.realised for _, one in self.accounts.positions.strategies())
        return here + sum(one.realised for one in self.accounts.purged.sums())

    def kept(self) -> dict[str, int]:
        """How many things each container holds that knows instruments."""
        accounts, core, registry = self.accounts, self.harness._core, self.registry
        universes, bus = core.kernel._universes, core.kernel._bus
        held: dict[str, Any] = {
            "instruments": accounts.instruments,
            "settlements": accounts.settlements,
            "positions": accounts.positions._account,
            "positions of strategies": accounts.positions._strategies,
            "exposures": accounts.exposures._account,
            "exposures of strategies": accounts.exposures._strategies,
            "venue positions": accounts.venue_positions,
            "trading states": accounts.trading._states,
            "remembered": accounts.purged.remembered(),
            "books": core.books._books,
            "subscriptions": bus._subscriptions,
            "topics": bus._resolved,
            "instruments of the strategy": self.buyer.desk.instruments,
            "known markets": registry._instruments,
            "openings": registry._open_ns,
            "settled markets": registry._settled,
            "followed markets": registry.followed,
        }
        assert universes is not None
        return {name: len(one) for name, one in held.items()}


def days(month: Month) -> Iterator[int]:
    """Let the days pass, one at a time."""
    for day in range(1, DAYS + 1):
        for quarter in range(QUARTERS_A_DAY):
            month.pass_quarter(day * QUARTERS_A_DAY + quarter)
        yield day


def test_month_of_15_minute_markets_when_each_is_traded_then_nothing_grows_and_the_profit_is_exact() -> None:
    month = Month()
    kept: dict[int, dict[str, int]] = {}
    snapshots: dict[int, int] = {}
    for day in days(month):
        kept[day] = month.kept()
        snapshots[day] = len(month.accounts.to_snapshot())

    open_cost = sum(PRICE * 100 for _ in month.open)
    assert month.booked() == month.profit + open_cost
    assert len(month.harness.recorder.fills) == DAYS * QUARTERS_A_DAY * len(SERIES)
    assert kept[DAYS] == kept[2]
    assert snapshots[DAYS] == pytest.approx(snapshots[STEADY_DAY], rel=0.01)
    assert max(kept[DAYS].values()) <= 300
    assert month.harness.recorder.alarms == []
