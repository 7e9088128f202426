"""A small exchange for spot and perpetuals: one coin, prices in tenths of a dollar, sizes in thousandths.

Spot market "S" (BTC against USDT) and perpetual "P" (margin in USDT); accounts "A", "B", "C" with 100,000 USDT, and
two coins each. Everything is in the engine's integers: a price of 630_000 is 63,000.0 USDT, money counts 10^-4 USDT.
"""

import random
from typing import Any

from connectors.sandbox.engine import audit_report
from connectors.sandbox.engine.events import Event
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import (
    Accepted,
    FeeModel,
    Fill,
    MarketSpec,
    Order,
    OrderRequest,
    PerpetualTerms,
    Position,
    PriceBand,
    Rejection,
)
from connectors.sandbox.engine.rules import Rules

START_NS = 1_767_225_600_000_000_000
MS_NS = 1_000_000
USDT = 10_000
COIN = 1_000
BANDS = (PriceBand(0, 20_000_000, 1),)
FEES = FeeModel("notional", taker_ppm=500, maker_ppm=200, rounding="up")


def spot_spec(**more: Any) -> MarketSpec:
    """Market "S"."""
    terms: dict[str, Any] = {"market_id": "S", "kind": "spot", "base": "BTC", "fees": FEES} | more
    return MarketSpec(price_decimals=1, size_decimals=3, bands=BANDS, cash_account="USDT", **terms)


def perpetual_spec(**more: Any) -> MarketSpec:
    """Market "P"; its liquidation fee is 0.5 %, its maintenance margin 0.4 %."""
    terms: dict[str, Any] = {"market_id": "P", "kind": "perpetual", "fees": FEES} | more
    return MarketSpec(price_decimals=1, size_decimals=3, bands=BANDS, cash_account="USDT", **terms)


def terms(**more: Any) -> PerpetualTerms:
    """Terms of a perpetual."""
    return PerpetualTerms(**more)


class Coins:
    """An exchange under `rules`; by default with both markets."""

    def __init__(self, *specs: MarketSpec, rules: Rules | None = None) -> None:
        self.exchange = Exchange(random.Random(1), now_ns=START_NS, rules=rules or Rules())
        self.now_ns = START_NS
        for spec in specs or (spot_spec(), perpetual_spec()):
            self.exchange.add_market(spec, START_NS)
        for account in "ABC":
            self.exchange.add_account(account, {"USDT": 100_000 * USDT, "BTC": 2 * COIN})

    def tick(self, ms: int = 1) -> int:
        """Let time pass and return it."""
        self.now_ns += ms * MS_NS
        return self.now_ns

    def send(self, account: str, market_id: str, side: Any, price: int, size: int, **more: Any) -> Accepted | Rejection:
        """Submit an order and return whatever the exchange says."""
        request = OrderRequest(account=account, market_id=market_id, side=side, price=price, size=size, **more)
        return self.exchange.submit(request, self.tick())

    def order(self, account: str, market_id: str, side: Any, price: int, size: int, **more: Any) -> Order:
        """Submit an order that must be accepted; return it."""
        answer = self.send(account, market_id, side, price, size, **more)
        assert isinstance(answer, Accepted), answer
        return answer.order

    def refusal(self, account: str, market_id: str, side: Any, price: int, size: int, **more: Any) -> str:
        """Submit an order that must be refused; return the code."""
        answer = self.send(account, market_id, side, price, size, **more)
        assert isinstance(answer, Rejection), answer
        return answer.code

    def open(self, account: str, other: str, price: int, size: int) -> None:
        """Let `account` buy (or sell, where `size` is negative) in "P" from `other`."""
        sides = ("bid", "ask") if size > 0 else ("ask", "bid")
        self.order(other, "P", sides[1], price, abs(size))
        self.order(account, "P", sides[0], price, abs(size), tif="ioc")

    def mark(self, price: int) -> None:
        """Set the mark of "P"."""
        assert self.exchange.set_mark("P", price, now_ns=self.tick()) is None

    def cash(self, account: str, currency: str = "USDT") -> int:
        """The balance."""
        return self.exchange.state.accounts[account].cash.get(currency, 0)

    def available(self, account: str, currency: str = "USDT") -> int:
        """What new orders may draw on."""
        return self.exchange.state.accounts[account].available(currency)

    def position(self, account: str, market_id: str = "P") -> Position:
        """The account's position."""
        return self.exchange.state.accounts[account].position(market_id)

    def fills_of(self, account: str) -> list[Fill]:
        """Every fill of an account."""
        return [fill for fill in self.exchange.ledger.fills if fill.account == account]

    def events(self, kind: type[Event]) -> list[Any]:
        """Drain the events and return those of one kind."""
        return [event for event in self.exchange.drain() if isinstance(event, kind)]

    def assert_sound(self) -> None:
        """Everything adds up."""
        assert audit_report.problems(self.exchange) == []
