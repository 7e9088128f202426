"""A served venue with one spot market and one binary market, on a clock that a test turns."""

from __future__ import annotations

from connectors.sandbox.engine.model import FeeModel, MarketSpec, PriceBand
from connectors.sandbox.serving.venue import ServedVenue

SPOT = MarketSpec(
    market_id="BTC_USDC",
    kind="spot",
    price_decimals=2,
    size_decimals=4,
    bands=(PriceBand(0, 10**9, 1),),
    fees=FeeModel(formula="notional", taker_ppm=1_000, balance_step=1),
    cash_account="USDC",
    base="BTC",
)
BINARY = MarketSpec(market_id="TIDE")


class Turned:
    """A wall clock that moves only when a test sets it."""

    def __init__(self) -> None:
        self.ns = 1_800_000_000_000_000_000

    def __call__(self) -> int:
        return self.ns


def listed_venue(clock: Turned | None = None) -> ServedVenue:
    """A venue without flow whose member has 100,000 USDC, 2 BTC and 100 USD."""
    venue = ServedVenue(seed=1, now_ns=clock or Turned())
    for spec in (SPOT, BINARY):
        venue.exchange.add_market(spec, venue.clock.engine_ns())
    venue.open_account("member", {"USDC": 100_000 * 10**6, "BTC": 2 * 10**4, "USD": 100 * 10**6})
    venue.start_flow(0, {})
    venue.exchange.drain()
    return venue
