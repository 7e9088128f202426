"""The venue's words for what the exchange engine says: states and reasons of orders, codes of refusals, shards."""

from connectors.sandbox.engine.model import MarketSpec, Order, RejectionCode, UpdateReason

CODES: dict[RejectionCode, str] = {
    "account_not_found": "user_not_found",
    "below_minimum": "invalid_order_size",
    "cancel_pending": "not_found",
    "client_id_mismatch": "order_id_and_client_order_id_mismatch",
    "client_id_used": "order_already_exists",
    "exchange_paused": "exchange_is_paused",
    "fok_unfillable": "fill_or_kill_insufficient_resting_volume",
    "insufficient_balance": "insufficient_balance",
    "invalid_expiry": "invalid_parameters",
    "invalid_order": "invalid_order",
    "invalid_price": "invalid_price",
    "invalid_request": "invalid_parameters",
    "invalid_size": "invalid_order_size",
    "invalid_trigger": "invalid_parameters",
    "market_closed": "market_closed",
    "market_mismatch": "order_ticker_mismatch",
    "market_not_found": "market_not_found",
    "market_not_open": "market_inactive",
    "not_found": "not_found",
    "not_offered": "invalid_parameters",
    "position_open": "invalid_parameters",
    "post_only_crosses": "invalid_order",
    "price_deviation": "invalid_price",
    "side_mismatch": "order_side_mismatch",
    "trading_paused": "trading_is_paused",
}
"""The engine's code -> the venue's: as recorded, as its changelog names them or as third parties saw them."""

REASONS: dict[UpdateReason, str] = {
    "": "",
    "amended": "Amend",
    "decreased": "Decrease",
    "traded": "Trade",
    "filled": "Trade",
    "cancelled": "Decrease",
    "margin": "MarginCancel",
    "self_trade": "SelfTradeCancel",
    "expired": "ExpiryCancel",
    "closed": "CloseCancel",
    "halted": "HaltCancel",
    "reduce_only": "ReduceOnlyCancel",
    "post_only": "PostOnlyCrossCancel",
    "triggered": "",
    "liquidated": "MarginCancel",
}
"""Why an order last changed (vendor docs). A cancel by the owner or by a group is a Decrease: *assumption*."""


def status_of(order: Order) -> str:
    """The venue's status: "resting", "executed" when it ended by trading all of it, else "canceled"."""
    if order.status != "ended":
        return "resting"
    return "executed" if order.reason == "filled" else "canceled"


def reason_of(order: Order) -> str:
    """The venue's `last_update_reason`; empty when there is none to show.

    An order that got less than it wanted at once shows its trade, or nothing when it had none (*assumption*).
    """
    if order.reason == "unfilled":
        return "Trade" if order.filled else ""
    return REASONS[order.reason]


def cash_account_of(shard: int) -> str:
    """The engine's cash account of a shard: "USD" on shard 0, "USD#2" on shard 2.

    Vendor docs: cash lies on a shard, and an order draws only on that of its market.
    """
    return f"USD#{shard}" if shard else "USD"


def shard_of(spec: MarketSpec) -> int:
    """The shard (exchange index) of a market, from 0, as its cash account says it."""
    return int(spec.cash_account.partition("#")[2] or 0)
