"""Rows as KalqiX writes them. The fields of dialect A are those of the vendor's API page, no more and no fewer; B has
its amounts in base units, with `_formatted` twins in decimals.

Decimal texts have no zeros at their end. Times: of trades microseconds, of orders RFC 3339 in whole seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.kalqix.sandbox.words import status_of
from connectors.sandbox.engine.events import TradePrint
from connectors.sandbox.engine.fees import trade_fee
from connectors.sandbox.engine.matching import opposite
from connectors.sandbox.engine.model import NS_PER_S, Fill, Market, MarketSpec, Order
from connectors.sandbox.seeding import stable_uuid
from connectors.sandbox.serving.candles import MINUTE_S, Candle
from connectors.sandbox.serving.clock import VenueClock
from connectors.sandbox.serving.decimals import trimmed

SIDES = {"bid": "BUY", "ask": "SELL"}
DAY_NS = 24 * 3_600 * NS_PER_S
STATUSES = {"active": "ACTIVE", "inactive": "PAUSED"}
"""Of markets; every other one is "CLOSED"."""


@dataclass(frozen=True)
class Asset:
    """A coin: `decimals` of its base unit at the venue, `counted` those in which the exchange counts it."""

    asset_id: int
    symbol: str
    name: str
    decimals: int
    counted: int

    def base_units(self, value: int, decimals: int) -> str:
        """`value` x 10^-decimals in base units."""
        return str(value * 10 ** (self.decimals - decimals))


ASSETS = {
    one.symbol: one
    for one in (
        Asset(1, "USDC", "USD Coin", 6, 6),
        Asset(2, "BTC", "Bitcoin", 8, 4),
        Asset(3, "ETH", "Ethereum", 18, 4),
        Asset(4, "SOL", "Solana", 9, 4),
    )
}


@dataclass(frozen=True)
class Renderer:
    """Writes rows for one account. `has_base_units` is dialect B; `market_ids` number the markets by their names;
    `wallet` and `trade_us` are asked for each row: the account's address, and when a trade of an id was, at a time."""

    has_base_units: bool
    clock: VenueClock
    wallet: Callable[[], str]
    trade_us: Callable[[str, int], int]
    market_ids: Mapping[str, int]

    def ticker(self, name: str) -> str:
        """A market's name in answers about orders and trades."""
        return name.replace("_", "/")

    def amount(self, name: str, value: int, decimals: int, asset: Asset) -> dict[str, str]:
        """An amount or a price under its name: a decimal in A, base units of `asset` and the decimal in B."""
        if not self.has_base_units:
            return {name: trimmed(value, decimals)}
        return {name: asset.base_units(value, decimals), f"{name}_formatted": trimmed(value, decimals)}

    def market(self, market: Market) -> dict[str, Any]:
        """A market of the list."""
        spec, base, quote = market.spec, ASSETS[market.spec.base], ASSETS[market.spec.cash_account]
        return {
            "ticker": self.ticker(market.market_id) if self.has_base_units else market.market_id,
            "market_id": self.market_ids[market.market_id],
            "name": f"{base.name} / {quote.name}",
            "base_asset": base.symbol,
            "quote_asset": quote.symbol,
            "base_asset_id": base.asset_id,
            "quote_asset_id": quote.asset_id,
            "base_asset_decimals": str(base.decimals),
            "quote_asset_decimals": str(quote.decimals),
            "tick_size": trimmed(spec.bands[0].step, spec.price_decimals),
            "step_size": trimmed(spec.size_step, spec.size_decimals),
            **self.amount("min_price", spec.bands[0].start, spec.price_decimals, quote),
            **self.amount("min_quantity", spec.size_min, spec.size_decimals, base),
            **self.amount("min_trade_size", spec.notional_min, spec.price_decimals + spec.size_decimals, quote),
            "market_order_margin_percent": spec.market_margin_ppm // 10_000,
            "max_price_deviation_percent": spec.price_deviation_ppm // 10_000,
            "maker_fee": trimmed(spec.fees.maker_ppm, 4),
            "taker_fee": trimmed(spec.fees.taker_ppm, 4),
            "status": STATUSES.get(market.status, "CLOSED"),
        }

    def market_details(self, market: Market, tape: Iterable[TradePrint], now_ns: int) -> dict[str, Any]:
        """A market by itself, with the figures of its last 24 hours."""
        spec = market.spec
        return self.market(market) | {
            "description": f"{ASSETS[spec.base].name} against {ASSETS[spec.cash_account].name}",
            "twenty_four_hour": self.day(spec, tape, now_ns),
            "price_precision": spec.price_decimals,
            "quantity_precision": spec.size_decimals,
        }

    def day(self, spec: MarketSpec, tape: Iterable[TradePrint], now_ns: int) -> dict[str, Any]:
        """The figures of the last 24 hours as JSON numbers; `total_volume` is in the quote asset."""
        trades = [one for one in tape if now_ns - one.ns < DAY_NS]
        prices = [one.price for one in trades] or [0]
        change, unit = prices[-1] - prices[0], 10**spec.price_decimals
        money = sum(one.price * one.size for one in trades)
        return {
            "open": prices[0] / unit,
            "high": max(prices) / unit,
            "low": min(prices) / unit,
            "close": prices[-1] / unit,
            "volume": sum(one.size for one in trades) / 10**spec.size_decimals,
            "total_volume": money / (unit * 10**spec.size_decimals),
            "trades": len(trades),
            "change": change / unit,
            "percent": round(100 * change / prices[0], 4) if prices[0] else 0,
        }

    def candle(self, spec: MarketSpec, one: Candle) -> dict[str, Any]:
        """A minute: its beginning in milliseconds, its prices, and what was traded in it."""
        base, quote = ASSETS[spec.base], ASSETS[spec.cash_account]
        prices = {"open": one.price.open or 0, "high": one.price.high, "low": one.price.low, "close": one.price.close}
        row: dict[str, Any] = {"timestamp": self.clock.ms((one.end_s - MINUTE_S) * NS_PER_S)}
        for name, price in prices.items():
            row |= self.amount(name, price, spec.price_decimals, quote)
        return row | self.amount("volume", one.volume, spec.size_decimals, base)

    def resting(self, spec: MarketSpec, order: Order) -> dict[str, str]:
        """An order of the book, of whomever."""
        base = ASSETS[spec.base]
        return {
            "order_id": order.order_id,
            "side": SIDES[order.side],
            **self._traded(spec, order.price, order.initial),
            **self.amount("remaining_quantity", order.remaining, spec.size_decimals, base),
            "timestamp": self.time(order.arrival_ns),
            "status": status_of(order),
        }

    def level(self, spec: MarketSpec, price: int, size: int) -> dict[str, str]:
        """One price of a book."""
        return self._traded(spec, price, size)

    def trade(self, spec: MarketSpec, one: TradePrint, halves: Mapping[bool, Fill]) -> dict[str, Any]:
        """A trade of the public tape. `halves` are the member's fills of it, the taker's under True: others' orders
        have ids that no request finds, and are charged what their fill alone would be."""
        sides = {True: one.taker_side, False: opposite(one.taker_side)}
        return {
            "trade_id": one.trade_id,
            "maker_order_id": self._order_id(one.trade_id, halves, is_taker=False),
            "taker_order_id": self._order_id(one.trade_id, halves, is_taker=True),
            **self._traded(spec, one.price, one.size),
            "timestamp": self.trade_us(one.trade_id, one.ns),
            "ticker": self.ticker(one.market_id),
            "maker_side": SIDES[sides[False]],
            **self._fee("maker_fee", spec, one, halves.get(False), is_taker=False),
            **self._fee("taker_fee", spec, one, halves.get(True), is_taker=True),
        }

    def own_trade(self, spec: MarketSpec, fill: Fill, halves: Mapping[bool, Fill]) -> dict[str, Any]:
        """A trade of the account; B also says which part it had, and what it paid."""
        taker_side = fill.side if fill.is_taker else opposite(fill.side)
        one = TradePrint(fill.trade_id, fill.market_id, fill.price, fill.size, taker_side, 0, fill.ns)
        row = self.trade(spec, one, halves)
        if self.has_base_units:
            row |= {"role": _role(fill).upper(), **self._fee("fee", spec, one, fill, is_taker=fill.is_taker)}
        return row

    def order(self, spec: MarketSpec, order: Order, signature: str) -> dict[str, Any]:
        """An order of the list. A market order has an empty price."""
        base, quote = ASSETS[spec.base], ASSETS[spec.cash_account]
        money = spec.price_decimals + spec.size_decimals
        price = self.amount("price", order.price, spec.price_decimals, quote)
        by_amount = self.amount("quote_quantity", order.quote_amount, money, quote)
        row: dict[str, Any] = {
            "market": self.market_ids[order.market_id],
            "ticker": self.ticker(order.market_id),
            "order_id": order.order_id,
            "asset_id": str(base.asset_id),
            **(dict.fromkeys(price, "") if order.kind == "market" else price),
            **self.amount("quantity", order.initial, spec.size_decimals, base),
            **(by_amount if order.quote_amount else dict.fromkeys(by_amount, "")),
            **self.amount("remaining_quantity", order.initial - order.filled, spec.size_decimals, base),
            "side": SIDES[order.side],
            "order_type": order.kind.upper(),
            "timestamp": self.time(order.arrival_ns),
            "signature": signature,
            "wallet_address": self.wallet(),
            "status": status_of(order),
            "base_asset": base.symbol,
            "quote_asset": quote.symbol,
            "token": base.symbol,
        }
        if self.has_base_units:
            row |= {
                "client_order_id": order.client_order_id or None,
                "maker_fee_ppm": spec.fees.maker_ppm,
                "taker_fee_ppm": spec.fees.taker_ppm,
            }
        return row

    def order_details(self, spec: MarketSpec, order: Order, signature: str, fills: Iterable[Fill]) -> dict[str, Any]:
        """An order by itself: its market is a text, it says no amount, and it has its trades."""
        row = self.order(spec, order, signature) | {"market": str(self.market_ids[order.market_id])}
        kept = {name: value for name, value in row.items() if not name.startswith("quote_quantity")}
        return kept | {"trades": [self.order_trade(spec, fill) for fill in fills]}

    def order_trade(self, spec: MarketSpec, fill: Fill) -> dict[str, Any]:
        """A trade of one order: `amount` is its worth, `total` that with the fee."""
        money, quote = spec.price_decimals + spec.size_decimals, ASSETS[spec.cash_account]
        amount = fill.price * fill.size
        return {
            "trade_id": fill.trade_id,
            **self._traded(spec, fill.price, fill.size),
            **self.amount("amount", amount, money, quote),
            **self.amount("fee", fill.fee, money, quote),
            **self.amount("total", amount + fill.fee, money, quote),
            "role": _role(fill).upper() if self.has_base_units else _role(fill),
            "timestamp": self.trade_us(fill.trade_id, fill.ns) if self.has_base_units else self.time(fill.ns),
        }

    def position(self, asset: Asset, available: int, locked: int) -> dict[str, Any]:
        """A balance. Its amounts are base units in both dialects; A has no formatted total."""
        total = available + locked
        row = {
            "name": asset.name,
            "symbol": asset.symbol,
            "total": asset.base_units(total, asset.counted),
            "asset_id": asset.asset_id,
            "asset": asset.symbol,
            "available": asset.base_units(available, asset.counted),
            "locked": asset.base_units(locked, asset.counted),
            "decimals": asset.decimals,
            "display_decimals": asset.counted,
            "available_formatted": trimmed(available, asset.counted),
            "locked_formatted": trimmed(locked, asset.counted),
        }
        return row | ({"total_formatted": trimmed(total, asset.counted)} if self.has_base_units else {})

    def time(self, engine_ns: int) -> str:
        """A time in whole seconds, RFC 3339."""
        return self.clock.rfc3339(engine_ns // NS_PER_S * NS_PER_S)

    def _traded(self, spec: MarketSpec, price: int, size: int) -> dict[str, str]:
        return self.amount("price", price, spec.price_decimals, ASSETS[spec.cash_account]) | self.amount(
            "quantity", size, spec.size_decimals, ASSETS[spec.base]
        )

    def _fee(
        self, name: str, spec: MarketSpec, one: TradePrint, fill: Fill | None, *, is_taker: bool
    ) -> dict[str, str]:
        fee = trade_fee(spec, one.price, size=one.size, taker=is_taker) if fill is None else fill.fee
        return self.amount(name, fee, spec.price_decimals + spec.size_decimals, ASSETS[spec.cash_account])

    def _order_id(self, trade_id: str, halves: Mapping[bool, Fill], *, is_taker: bool) -> str:
        half = halves.get(is_taker)
        return stable_uuid("kalqix", trade_id, is_taker) if half is None else half.order_id


def _role(fill: Fill) -> str:
    return "taker" if fill.is_taker else "maker"
