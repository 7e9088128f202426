"""What BitExAsia documents, and what is assumed where it says nothing. Pure.

Documented is one page ("API for Developers"): seven endpoints, the names of four headers, the inputs of the signature,
one example of an order, and what each endpoint is for. All else is an assumption, and each one is a sentence here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from connectors.client.wire.answers import NO_TRADING, ErrorShape, Meaning, Rule, Verdicts
from connectors.client.wire.dialect import FACT, Assumed, OrderStates, assumptions_of

Part = Literal["method", "target", "body", "timestamp", "nonce"]
"""One input of the signature; `target` is the path with its query."""

PARTS: tuple[Part, ...] = ("method", "target", "body", "timestamp", "nonce")
"""In the order in which the page names them."""

PLACEHOLDERS = ("sandbox-api.bitexasia.com", "ws.bitexasia.com")
"""Hosts that nobody has documented: a stream and a sandbox are advertised, and their addresses are not given."""

CONFLICT = "client_order_id_conflict"
"""The code of the refusal when our id is in use for another body."""


class Dialect(msgspec.Struct, frozen=True):
    """The one generation of the API, "v1"."""

    headers: Annotated[tuple[str, str, str, str], FACT] = (
        "X-Api-Key", "X-Api-Timestamp", "X-Api-Nonce", "X-Api-Signature",
    )  # fmt: skip
    parts: Annotated[
        tuple[Part, ...],
        Assumed("What is signed is method, path with query, body, timestamp in milliseconds and nonce, in this order."),
    ] = PARTS
    separator: Annotated[str, Assumed("The parts of what is signed are joined by line breaks.")] = "\n"
    encoding: Annotated[
        str, Assumed("The signature is HMAC-SHA256 in small hexadecimal digits, keyed with the text of the secret.")
    ] = "hex"
    nonce_bytes: Annotated[int, Assumed("A nonce is 16 random hexadecimal digits, and counts once per key.")] = 8
    drift_ms: Annotated[int, Assumed("A key whose clock tolerance was not set allows 30 seconds either way.")] = 30_000
    period_s: Annotated[
        int,
        Assumed(
            "The 1,200 weighted requests of a minute are one window that begins anew and is shown in X-RateLimit "
            "headers; each request here weighs 1, also a new order and a cancel."
        ),
    ] = 60
    states: Annotated[
        OrderStates,
        Assumed("Orders are new, open, partially_filled or triggered, or filled, cancelled, rejected or expired."),
    ] = OrderStates(
        frozenset({"new", "open", "partially_filled", "triggered"}),
        frozenset({"filled", "cancelled", "canceled", "rejected", "expired"}),
    )
    market_states: Annotated[
        tuple[str, str, str], Assumed("A pair is online, paused or pending; any other status means closed.")
    ] = ("online", "paused", "pending")
    order_row: Annotated[
        str,
        Assumed(
            "An answer about an order states id, client_order_id, pair, side, type, price, size, filled_size, "
            "remaining_size, avg_fill_price, state and created_at, numbers as text."
        ),
    ] = "id"
    repeated: Annotated[
        str,
        Assumed(
            "A repeated client_order_id with the same body is answered with the first order, with another body it is "
            "refused as client_order_id_conflict, and this is asked before anything else of the order."
        ),
    ] = CONFLICT
    stop: Annotated[
        str, Assumed("A stop order has its trigger in stop_price, its limit in price, and watches the last trade.")
    ] = "stop_price"
    optional: Annotated[
        str, Assumed("time_in_force (gtc, ioc, fok) and post_only are taken where the setting says that they are.")
    ] = "time_in_force"
    errors: Annotated[
        ErrorShape,
        Assumed(
            "Errors are {error: {code, message}}, and a 4xx with a code of the venue's own proves that nothing of the "
            "request was done; ip_not_allowed and scope are the two codes of a 403."
        ),
    ] = ErrorShape(path=("error",))
    step: Annotated[str, Assumed("Sizes are multiples of one unit in the last digit of the smallest order.")] = "min"
    fees: Annotated[str, Assumed("Fees are the rates of the settings, paid in the quote currency.")] = "quote"
    balances: Annotated[
        str, Assumed("Balances are {spot|margin|earn: {ASSET: {total, available}}}; only spot pays for orders.")
    ] = "spot"
    stream: Annotated[
        str,
        Assumed(
            "The stream takes {op, channels: [{name, pair, depth}]} without an answer; a book is a snapshot and then "
            "changes with seq and prev_seq of its own, sizes are totals, and 0 removes a level."
        ),
    ] = "orderbook"


DIALECT = Dialect()
ASSUMPTIONS = assumptions_of(Dialect)
"""Listed before real trading."""

VERDICTS = Verdicts(
    "check key_id, secret_path, and the addresses that the key allows",
    (
        Rule(meaning=Meaning.CLOCK, codes=("timestamp_out_of_range",)),
        Rule(meaning=Meaning.RETRYABLE, codes=("nonce_reused",)),
        Rule(meaning=Meaning.ACCOUNT, codes=("ip_not_allowed",)),
        Rule(meaning=Meaning.REFUSED, codes=("order_not_found",), code="not_found"),
        Rule(meaning=Meaning.REFUSED, codes=("scope",), remedy=NO_TRADING),
    ),
)
"""What the refusals prove; all codes are assumed."""
