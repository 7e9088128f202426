"""What the account reads of its money and trades, and how its markets are set: leverage, margin mode, position mode."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.serving.fields import Query, decode_body
from connectors.sandbox.serving.pages import by_offset, clamped, from_id
from connectors.sandbox.serving.rest import Reply
from connectors.zdex.sandbox.auth import Call
from connectors.zdex.sandbox.markets import QUOTE
from connectors.zdex.sandbox.orders import PAGE_DEFAULT, PAGE_MAX, complaints
from connectors.zdex.sandbox.render import balances, money, positions, trade_row
from connectors.zdex.sandbox.venue import MEMBER

TRADES_MAX = 500
MARGIN_TYPES = {"CROSSED": "CROSSED", "ISOLATED": "ISOLATED"}


def list_positions(call: Call) -> Reply:
    """GET /positions: those that are open, unless status=CLOSED."""
    status = Query(call.arrival.query, "positions", complaints(call)).choice("status", ("OPEN", "CLOSED"))
    found = positions(call.venue, call.arrival.now_ns, is_open=status != "CLOSED")
    return Reply({"ok": True, "positions": found})


def position_history(call: Call) -> Reply:
    """GET /futures/positionHistory (v2): the closed ones; that the form is this one is an *assumption*."""
    return Reply({"ok": True, "data": positions(call.venue, call.arrival.now_ns, is_open=False)})


def balance(call: Call) -> Reply:
    """GET /futures/balance: the wallet in USDT, in the form of the dialect."""
    return Reply({"ok": True, "balances": balances(call.venue, call.arrival.now_ns)})


def own_trades(call: Call) -> Reply:
    """GET /futures/myTrades: of one market, takers' only, from an id on."""
    query, venue = Query(call.arrival.query, "trades", complaints(call)), call.venue
    one = venue.spec(query.required_text("symbol"))
    rows = [
        trade_row(venue, fill)
        for fill in venue.served.reads.fills([MEMBER], call.arrival.now_ns)
        if fill.market_id == one.market_id
    ]
    size = clamped(TRADES_MAX, TRADES_MAX, faults=venue.served.faults, listing="fills")
    keyed = sorted(((row["id"], row) for row in rows), key=lambda pair: pair[0])
    return Reply({"ok": True, "data": from_id(keyed, query.integer("fromId"), size=size)})


def funding_history(call: Call) -> Reply:
    """GET /me/funding-history, newest first: the path is documented for v2, its rows are an *assumption*."""
    venue, query = call.venue, Query(call.arrival.query, "funding", complaints(call))
    symbol = query.text("symbol")
    flows = [
        one
        for one in reversed(venue.served.exchange.ledger.cash_flows)
        if one.account == MEMBER and one.kind == "funding" and symbol in (None, one.market_id)
    ]
    asked = min(query.bounded("limit", PAGE_DEFAULT, 10_000), PAGE_MAX)
    size = clamped(asked, PAGE_MAX, faults=venue.served.faults, listing="funding")
    rows: list[dict[str, Any]] = [
        {
            "id": one.flow_id,
            "symbol": one.market_id,
            "asset": QUOTE,
            "amount": money(one.amount),
            "time": venue.served.clock.ms(one.ns),
        }
        for one in by_offset(flows, query.integer("offset") or 0, size=size)
    ]
    return Reply({"ok": True, "data": rows, "total": len(flows)})


def set_leverage(call: Call) -> Reply:
    """POST /futures/leverage. In v2 an open position guards its own unless the request insists."""
    venue, body = call.venue, decode_body(call.arrival.raw, "leverage", complaints(call))
    one, leverage = venue.spec(body.required_text("symbol")), body.integer("leverage")
    most = one.perpetual.leverage_max
    if leverage is None or not 1 <= leverage <= most:
        raise venue.refusal(400, f"leverage must be a whole number from 1 to {most}")
    force = body.flag("forceWithOpenPosition") or not venue.dialect.is_v2
    refused = venue.served.exchange.set_leverage(
        MEMBER, one.market_id, leverage, now_ns=call.arrival.now_ns, force=force
    )
    venue.served.publish_events()
    if refused is not None and refused.code == "position_open":
        text = (
            "Symbol has an open position. Re-send with forceWithOpenPosition=true to confirm leverage change "
            "(this re-prices your liquidation level)."
        )
        raise venue.refusal(409, text, code="OPEN_POSITION_LEVERAGE_GUARD")
    if refused is not None:
        raise venue.refusal(400, "Insufficient balance for the open orders at this leverage")
    return Reply({"ok": True, "data": {"leverage": leverage, "symbol": one.market_id}})


def set_margin_type(call: Call) -> Reply:
    """POST /futures/margin-type: kept, and shown. The exchange keeps the margin of each position apart in both modes,
    which is stricter than CROSSED."""
    venue, body = call.venue, decode_body(call.arrival.raw, "margin type", complaints(call))
    one, wanted = venue.spec(body.required_text("symbol")), body.choice("marginType", MARGIN_TYPES)
    is_other = venue.margin_types.get(one.market_id, "CROSSED") != wanted
    if is_other and venue.dialect.is_v2 and venue.served.exchange.state.accounts[MEMBER].position(one.market_id).net:
        raise venue.refusal(409, "Symbol has an open position", code="OPEN_POSITION_MARGIN_GUARD")
    venue.margin_types[one.market_id] = wanted
    return Reply({"ok": True, "data": {"symbol": one.market_id, "marginType": wanted}})


def set_position_mode(call: Call) -> Reply:
    """POST /futures/position-mode: ONE_WAY is the only one here."""
    body = decode_body(call.arrival.raw, "position mode", complaints(call))
    mode = body.choice("positionMode", {"ONE_WAY": "ONE_WAY", "HEDGE": "HEDGE"})
    if mode == "HEDGE":
        raise call.venue.refusal(400, "HEDGE is not available in this sandbox; use ONE_WAY")
    return Reply({"ok": True, "data": {"positionMode": mode}})
