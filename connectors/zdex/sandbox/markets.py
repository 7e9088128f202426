"""The markets of the exchange: perpetuals in USDT, with the grid of the vendor's examples for BTCUSDT.

All of them count money in four decimals, because they share a balance: what tick and step have together.
"""

from __future__ import annotations

from typing import NamedTuple

from connectors.sandbox.engine.model import NS_PER_S, FeeModel, MarketSpec, PerpetualTerms, PriceBand

MARKETS_MAX = 144
"""So many the venue has (vendor docs)."""
MONEY_DECIMALS = 4
QUOTE = "USDT"
FUNDING_S = 8 * 3_600
NOTIONAL_MIN = 5
TAKER_PPM, MAKER_PPM = 500, 200
"""0.05 % and 0.02 % (*assumption*: no page has the fees)."""


class Listed(NamedTuple):
    """A market and the price at which it opens, in its price units."""

    spec: MarketSpec
    opening: int


_NAMED = (
    ("BTC", 1, 630_000),
    ("ETH", 2, 350_000),
    ("SOL", 2, 15_000),
    ("BNB", 2, 60_000),
    ("XRP", 4, 6_000),
    ("DOGE", 4, 1_200),
    ("LINK", 3, 14_000),
    ("AVAX", 3, 30_000),
    ("LTC", 2, 8_000),
    ("ADA", 4, 4_500),
)


def listed_markets(count: int, speed: float) -> list[Listed]:
    """The first `count` markets, from 1 to `MARKETS_MAX`; funding comes `speed` times as often. Raises `ValueError` for
    another number."""
    if not 1 <= count <= MARKETS_MAX:
        raise ValueError(f"markets is {count}; give 1 to {MARKETS_MAX}")
    others = [(f"COIN{number:03d}", 3, 1_000 + 137 * number) for number in range(1, MARKETS_MAX - len(_NAMED) + 1)]
    rows = [*_NAMED, *others][:count]
    return [Listed(_spec(base, decimals, speed), opening) for base, decimals, opening in rows]


def _spec(base: str, price_decimals: int, speed: float) -> MarketSpec:
    interval_ns = int(FUNDING_S * NS_PER_S / max(speed, 1.0))
    return MarketSpec(
        market_id=f"{base}{QUOTE}",
        kind="perpetual",
        price_decimals=price_decimals,
        size_decimals=MONEY_DECIMALS - price_decimals,
        bands=(PriceBand(1, 10**8, 1),),
        size_max=10**6,
        fees=FeeModel(formula="notional", taker_ppm=TAKER_PPM, maker_ppm=MAKER_PPM, balance_step=1, rounding="up"),
        cash_account=QUOTE,
        notional_min=NOTIONAL_MIN * 10**MONEY_DECIMALS,
        perpetual=PerpetualTerms(funding_interval_ns=interval_ns),
    )
