"""Refusal codes as they were written before they had short ones: a whole sentence each. Never changed: journals hold
them."""

from __future__ import annotations

OLD_SPELLINGS: dict[str, str] = {
    "The order is larger than the largest allowed order (C1).": "ORDER_SIZE_MAX",
    "The order's value is above the largest allowed order value (C2).": "ORDER_NOTIONAL_MAX",
    "The price is too far from the reference price of a fresh two-sided book (C3).": "PRICE_COLLAR",
    "There is no fresh, uncrossed, two-sided book to compare the price with (C3).": "NO_REFERENCE_PRICE",
    "The book is missing, stale, gapped or crossed (C4).": "BOOK_NOT_FRESH",
    "Position plus working and in-flight orders would pass the limit in the worst case (C5).": "POSITION_MAX",
    "Too many orders are open or in flight (C7).": "OPEN_ORDERS_MAX",
    "The venue's rate limit leaves no room now; the refusal says when it does (C8).": "BUDGET_EXHAUSTED",
    "The strategy has used its fair share of the venue's rate limit (C8).": "BUDGET_SHARE",
    "The venue has not declared its rate limits yet (C8).": "LIMITS_UNKNOWN",
    "Only orders that reduce the position are allowed now (C14).": "TRADING_REDUCING",
    "Trading is halted; only cancels pass (C14).": "TRADING_HALTED",
    "The instrument, side or time in force is not on the allow-list (C18).": "NOT_ALLOWED",
    "The instrument is not open for trading (C18).": "INSTRUMENT_NOT_ACTIVE",
    "No connector has defined this instrument.": "UNKNOWN_INSTRUMENT",
    "The price is not on the instrument's tick grid (C19).": "OFF_GRID",
    "The size is not positive, below the minimum, or not a multiple of the lot (C19).": "BAD_SIZE",
    "The order's value is below the venue's minimum (C19).": "NOTIONAL_MIN",
    "There is no such order of this strategy.": "UNKNOWN_ORDER",
    "The order has ended; nothing is left to change.": "ORDER_FINAL",
    "A change of this order is under way, or the venue has not confirmed it yet.": "ORDER_BUSY",
    "The connector of the venue is not up.": "VENUE_DOWN",
    "The intent is not one: a wrong type, a float, a negative or a missing value.": "INVALID_INTENT",
    "The strategy failed too often and is quarantined.": "QUARANTINED",
    "The daemon is stopping; only cancels pass.": "SHUTTING_DOWN",
    "The journal can't be written; nothing may leave.": "JOURNAL_FAILED",
    "A check raised an exception; the gate fails shut.": "CHECK_FAILED",
    "A check from outside the package refused; its details say why.": "PLUGIN_CHECK",
    # The name of this one, as ledgers hold it.
    "NONSENSE": "INVALID_INTENT",
}
"""Old spelling -> the code of today."""
