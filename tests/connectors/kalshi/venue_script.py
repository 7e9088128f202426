"""A small venue for scripted transports: what it lists, and how it answers subscriptions."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.connectors.support import ScriptedConnection, ScriptedHttp


def listed_market(ticker: str, **changes: Any) -> dict[str, Any]:
    """A market as REST lists it."""
    return {
        "ticker": ticker,
        "event_ticker": ticker.rpartition("-")[0],
        "status": "active",
        "market_type": "binary",
        "close_time": "2027-06-25T16:00:00Z",
        "open_time": "2026-06-11T05:39:29Z",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    } | changes


def body(**fields: Any) -> tuple[int, bytes]:
    """A successful answer."""
    return 200, msgspec.json.encode(fields)


def quiet_venue(*tickers: str, into: ScriptedHttp | None = None) -> ScriptedHttp:
    """Lists these markets, of the series KXTIDE; the account is empty."""
    http = ScriptedHttp() if into is None else into
    http.on("GET", "/exchange/status", body(exchange_active=True, trading_active=True))
    http.on("GET", "/account/endpoint_costs", body(default_cost=10, endpoint_costs=[]))
    bucket = {"refill_rate": 12_000, "bucket_capacity": 12_000}
    http.on("GET", "/account/limits", body(usage_tier="prestige", read=bucket, write=bucket))
    http.on("GET", "/markets", body(markets=[listed_market(ticker) for ticker in tickers], cursor=""))
    series = {"ticker": "KXTIDE", "fee_type": "quadratic_with_maker_fees", "fee_multiplier": 1}
    http.on("GET", "/series/KXTIDE", body(series=series))
    http.on("GET", "/events", body(events=[], cursor=""))
    for event in {ticker.rpartition("-")[0] for ticker in tickers}:
        http.on("GET", f"/events/{event}", body(event={"event_ticker": event, "series_ticker": "KXTIDE"}))
    http.on("GET", "/portfolio/positions", body(market_positions=[], cursor=""))
    http.on("GET", "/portfolio/orders", body(orders=[], cursor=""))
    http.on("GET", "/portfolio/settlements", body(settlements=[], cursor=""))
    http.on("GET", "/portfolio/balance", body(balance=9801, balance_dollars="98.0186"))
    return http


def answer_subscriptions(connection: ScriptedConnection, command: dict[str, Any]) -> None:
    """Acknowledge, and send a book for each market of the book channel. The command's id serves as sid."""
    number, params = command["id"], command.get("params", {})
    if command["cmd"] == "list_subscriptions":
        connection.deliver({"type": "ok", "id": number, "msg": []})
    if command["cmd"] != "subscribe":
        return
    (channel,) = params["channels"]
    connection.deliver({"type": "subscribed", "id": number, "msg": {"channel": channel, "sid": number}})
    if channel == "orderbook_delta":
        for seq, ticker in enumerate(params["market_tickers"], 1):
            msg = {"market_ticker": ticker, "yes_dollars_fp": [["0.4700", "3.00"]]}
            connection.deliver({"type": "orderbook_snapshot", "sid": number, "seq": seq, "msg": msg})


def answer_snapshots(connection: ScriptedConnection, command: dict[str, Any]) -> None:
    """Send the whole books that are asked for, numbered behind all that was sent before. For a quiet market."""
    if command.get("params", {}).get("action") != "get_snapshot":
        return
    (sid,) = command["params"]["sids"]
    before = [one for one in connection.commands if _is_of(one, sid) and one["id"] < command["id"]]
    sent = sum(len(one["params"]["market_tickers"]) for one in before)
    for seq, ticker in enumerate(command["params"]["market_tickers"], sent + 1):
        msg = {"market_ticker": ticker, "yes_dollars_fp": [["0.4700", "3.00"]]}
        connection.deliver({"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": msg})


def _is_of(command: dict[str, Any], sid: int) -> bool:
    return command["id"] == sid or command.get("params", {}).get("sids") == [sid]
