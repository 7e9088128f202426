"""Public reads. That they have these paths is documented for v2; their forms are those of Binance (*assumption*)."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.engine.model import Market
from connectors.sandbox.serving.decimals import trimmed
from connectors.sandbox.serving.fields import Query
from connectors.sandbox.serving.rest import Reply
from connectors.zdex.sandbox.auth import Call
from connectors.zdex.sandbox.markets import MONEY_DECIMALS, QUOTE
from connectors.zdex.sandbox.orders import complaints
from connectors.zdex.sandbox.render import book, candles, public_trade, ticker

MARKET_STATUSES = {"active": "TRADING", "inactive": "HALT", "initialized": "PENDING_TRADING"}
"""Of a market; any other one is "CLOSE"."""
INTERVALS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "12h": 720, "1d": 1_440}


def symbols(call: Call) -> Reply:
    """GET /market/symbols: every market with its rules."""
    markets = call.venue.served.exchange.state.markets.values()
    return Reply({"ok": True, "data": [_symbol_row(one) for one in markets]})


def tickers(call: Call) -> Reply:
    """GET /market/ticker: of one market, or of all."""
    venue, symbol = call.venue, _query(call).text("symbol")
    if symbol is not None:
        return Reply({"ok": True, "data": ticker(venue, venue.spec(symbol).market_id, call.arrival.now_ns)})
    names = venue.served.exchange.state.markets
    return Reply({"ok": True, "data": [ticker(venue, name, call.arrival.now_ns) for name in names]})


def depth(call: Call) -> Reply:
    """GET /market/depth: the best levels of both sides."""
    one = call.venue.spec(_query(call).required_text("symbol"))
    return Reply({"ok": True, "data": book(call.venue, one.market_id, _query(call).bounded("limit", 50, 500))})


def trades(call: Call) -> Reply:
    """GET /market/trades, oldest first."""
    one, most = call.venue.spec(_query(call).required_text("symbol")), _query(call).bounded("limit", 100, 500)
    found = call.venue.served.exchange.ledger.trades(one.market_id)[-most:]
    return Reply({"ok": True, "data": [public_trade(call.venue, event, one) for event in found]})


def klines(call: Call) -> Reply:
    """GET /market/klines, oldest first."""
    query = _query(call)
    one, interval = call.venue.spec(query.required_text("symbol")), query.choice("interval", tuple(INTERVALS)) or "1m"
    count = query.bounded("limit", 300, 1_000)
    rows = candles(call.venue, one.market_id, call.arrival.now_ns, minutes=INTERVALS[interval], count=count)
    return Reply({"ok": True, "data": rows})


def platform_status(_call: Call) -> Reply:
    """GET /platform/status (v2): always in operation."""
    return Reply({"ok": True, "status": "operational"})


def _query(call: Call) -> Query:
    return Query(call.arrival.query, "market", complaints(call))


def _symbol_row(market: Market) -> dict[str, Any]:
    """A market with its rules, as on Binance futures (*assumption*)."""
    one = market.spec
    tick, step = trimmed(1, one.price_decimals), trimmed(one.size_step, one.size_decimals)
    return {
        "symbol": one.market_id,
        "status": MARKET_STATUSES.get(market.status, "CLOSE"),
        "contractType": "PERPETUAL",
        "baseAsset": one.market_id.removesuffix(QUOTE),
        "quoteAsset": QUOTE,
        "marginAsset": QUOTE,
        "pricePrecision": one.price_decimals,
        "quantityPrecision": one.size_decimals,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "tickSize": tick,
                "minPrice": tick,
                "maxPrice": trimmed(one.bands[0].end, one.price_decimals),
            },
            {
                "filterType": "LOT_SIZE",
                "stepSize": step,
                "minQty": step,
                "maxQty": trimmed(one.size_max, one.size_decimals),
            },
            {"filterType": "MIN_NOTIONAL", "notional": trimmed(one.notional_min, MONEY_DECIMALS)},
        ],
    }
