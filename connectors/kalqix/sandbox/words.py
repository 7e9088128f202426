"""What KalqiX calls things: refusals in the shape of each dialect, and the statuses of orders.

The texts of 401, 403 and 404 and those about cancels are the vendor's, of its guide of 2026-02; all others, and B's
codes but for four of them, are *assumptions*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from connectors.sandbox.engine.model import Order
from connectors.sandbox.serving.rest import Refusal


class Said(NamedTuple):
    """One refusal: its status, B's code, and A's text."""

    status: int
    code: str
    text: str


REFUSALS: dict[str, Said] = {
    "bad_key": Said(401, "UNAUTHORIZED", "Invalid API key or signature."),
    "bad_action": Said(403, "INVALID_SIGNATURE", "Invalid message signature."),
    "stale_time": Said(400, "INVALID_TIMESTAMP", "Invalid timestamp."),
    "replayed": Said(403, "DUPLICATE_REQUEST", "Duplicate request."),
    "ip_refused": Said(403, "IP_NOT_ALLOWED", "IP address is not allowed."),
    "too_fast": Said(429, "TOO_MANY_REQUESTS", "Too many requests."),
    "missing": Said(400, "INVALID_REQUEST", "Missing required fields."),
    "not_found": Said(404, "NOT_FOUND", "Order not found."),
    "market_not_found": Said(404, "NOT_FOUND", "Invalid market."),
    "user_not_found": Said(404, "NOT_FOUND", "User not found."),
    "asset_not_found": Said(404, "NOT_FOUND", "Asset not found."),
    "transfer_not_found": Said(404, "NOT_FOUND", "Transfer not found."),
    "withdrawal_not_found": Said(404, "NOT_FOUND", "Withdrawal not found."),
    "key_not_found": Said(404, "NOT_FOUND", "API key not found."),
    "unknown_path": Said(404, "NOT_FOUND", "Route not found."),
    "cancel_pending": Said(400, "CANCELLATION_PENDING", "Your cancellation request is already received."),
    "processed": Said(400, "NOT_CANCELLABLE", "Order cannot be canceled or is already processed."),
    "filled": Said(403, "PERMISSION_DENIED", "Permission Denied. Order is already filled."),
    "client_id_used": Said(409, "DUPLICATE_CLIENT_ORDER_ID", "Client order id is already in use."),
    "insufficient_balance": Said(400, "INSUFFICIENT_BALANCE", "Insufficient balance."),
    "invalid_price": Said(400, "INVALID_PRICE", "Invalid price."),
    "invalid_size": Said(400, "INVALID_QUANTITY", "Invalid quantity."),
    "invalid_expiry": Said(400, "INVALID_EXPIRY", "Invalid expires_at."),
    "below_minimum": Said(400, "BELOW_MINIMUM", "Order is below the minimum trade size."),
    "price_deviation": Said(400, "PRICE_DEVIATION", "Price deviates too much from the last price."),
    "trading_paused": Said(400, "MARKET_INACTIVE", "Market is not active."),
    "market_closed": Said(400, "MARKET_INACTIVE", "Market is not active."),
    "market_not_open": Said(400, "MARKET_INACTIVE", "Market is not active."),
    "exchange_paused": Said(503, "UNAVAILABLE", "Service unavailable."),
}
ANY = Said(400, "INVALID_REQUEST", "Invalid request.")
INTERNAL = Said(500, "INTERNAL_ERROR", "Internal server error.")

ENDED_AS = {"filled": "FILLED", "expired": "EXPIRED", "unfilled": "EXPIRED_IN_MATCH"}
CANCELLED_BY = frozenset({"cancelled", "closed", "halted", "self_trade", "margin"})
"""Why the exchange ends an order that counts as cancelled."""


def body_of(said: Said, *, has_codes: bool, text: str = "") -> Mapping[str, str]:
    """A refusal's body: `{"error": text}`, or with `has_codes` (dialect B) `{"code": …, "message": text}`."""
    shown = text or said.text
    return {"code": said.code, "message": shown} if has_codes else {"error": shown}


def refusal(what: str, *, has_codes: bool, text: str = "", headers: Mapping[str, str] | None = None) -> Refusal:
    """The refusal of this name; one that is not listed is 400. `text` takes the place of the usual one."""
    said = REFUSALS.get(what, ANY)
    return Refusal(said.status, body_of(said, has_codes=has_codes, text=text), headers=headers)


def status_of(order: Order) -> str:
    """The venue's word for where an order stands."""
    if order.status == "cancelling":
        return "CANCELLATION_REQUESTED"
    if order.status != "ended":
        return "PARTIALLY_FILLED" if order.filled else "PENDING"
    if order.reason in CANCELLED_BY:
        return "CANCELLED"
    return ENDED_AS.get(order.reason, "FAILED")
