"""The two generations of KalqiX's protocol, its words, limits and verdicts. Pure.

A is what the vendor's API page describes (testnet, v1.4): wallet signatures, decimals, no ids of ours. B is what the
vendor's own public connector speaks (v1.7): agents' keys, base units, client ids. Neither has a stream.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from connectors.client.wire.answers import ErrorShape, Meaning, Rule, Verdicts
from connectors.client.wire.dialect import OrderStates
from connectors.client.wire.reports import NOT_FOUND
from connectors.client.wire.rows import RowWords
from framework.domain.instruments import InstrumentStatus
from framework.domain.orders import OrderKind
from framework.domain.rate_limits import Cost, Pool, PoolScope, RateLimits, RequestKind
from framework.domain.terms import CancelAllScope, PositionListing, VenueTerms

DialectName = Literal["a", "b"]

CANCEL_PENDING = "cancel_pending"
"""The code here for a cancel that the venue has received before."""

PAGE_SIZE = 24
"""The longest page of every list; some are longer in one of the dialects."""

CLIENT_ID_TAKEN = "DUPLICATE_CLIENT_ORDER_ID"
"""B's code for a client order id that is in use."""

_BOTH_ASSUMED = (
    "The path in the signed text begins with /v1.",
    "Lists of orders and trades have the newest first.",
    "Tick and step of a market are plain decimals, its fees are percents, and fees are paid in the quote currency.",
    "The balances are what /positions lists, of which the formatted amounts count.",
    "A market whose status is not known takes no orders.",
    "A 4xx with a text or code of the venue's, and every 429, mean that nothing of a request was done, but for one "
    "that is refused as a duplicate.",
)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the generations.

    `has_agents`: an agent signs by BIP-340, the HMAC's text has the query apart, and amounts of orders are base units;
    else the wallet signs by EIP-191 and they are decimals. `slash` is between base and quote in bodies.
    """

    name: DialectName
    has_agents: bool
    slash: str
    terms: VenueTerms
    assumptions: tuple[str, ...]


A = Dialect(
    name="a",
    has_agents=False,
    slash="_",
    terms=VenueTerms(
        positions=PositionListing.NONE,
        client_ids=False,
        cancel_all=CancelAllScope.MARKET,
        amend=False,
        post_only=False,
        reduce_only=False,
        order_kinds=tuple(OrderKind),
        quote_amounts=True,
    ),
    assumptions=(
        *_BOTH_ASSUMED,
        "Prices and sizes of books and trades are decimals.",
        "The user in the paths of own trades and transactions is the wallet's address.",
        "A market order by amount has an empty quantity.",
    ),
)
B = Dialect(
    name="b",
    has_agents=True,
    slash="/",
    terms=msgspec.structs.replace(A.terms, client_ids=True, quote_amounts=False),
    assumptions=(
        *_BOTH_ASSUMED,
        "Cancel-all takes the agent's index, the market, the time and the signature as its query.",
        "Own trades state the account's role and fee.",
        "The wallet signs transfers and withdrawals, as in A.",
    ),
)
DIALECTS: dict[str, Dialect] = {one.name: one for one in (A, B)}

WORDS = RowWords(
    states=OrderStates(
        open=frozenset({"PENDING", "PARTIALLY_FILLED"}),
        ended=frozenset({"FILLED", "CANCELLED", "EXPIRED", "EXPIRED_IN_MATCH", "FAILED"}),
        cancelling=frozenset({"CANCELLATION_REQUESTED"}),
    ),
    statuses={
        "ACTIVE": InstrumentStatus.ACTIVE,
        "CLOSED": InstrumentStatus.CLOSED,
        "": InstrumentStatus.PAUSED,
    },
    unit_ns=1,
)
"""The words of rows that `wire.rows` has brought into the toolkit's form; times there are nanoseconds."""

_4XX = (400, 401, 403, 404, 409, 422)


def _rule(meaning: Meaning, *codes: str, code: str = "", texts: tuple[str, ...] = ()) -> Rule:
    return Rule(meaning=meaning, statuses=_4XX, codes=codes, code=code, texts=texts, is_of_cancels=bool(texts))


VERDICTS = Verdicts(
    "check key_id, api_secret_path, dialect, and the key that signs orders (wallet_key_path, agent_key_path), and the "
    "addresses that the key allows",
    (
        _rule(Meaning.CLOCK, "invalid_timestamp", "INVALID_TIMESTAMP"),
        _rule(Meaning.ACCOUNT, "invalid_message_signature", "INVALID_SIGNATURE"),
        _rule(Meaning.ACCOUNT, "ip_address_is_not_allowed", "IP_NOT_ALLOWED"),
        # No signature of ours is sent twice: something on the way has doubled it, and the first one may have counted.
        _rule(Meaning.UNKNOWN, "duplicate_request", "DUPLICATE_REQUEST"),
        _rule(Meaning.REFUSED, code=CANCEL_PENDING, texts=("already received",)),
        # That it is over does not say how: the framework looks the order up.
        _rule(Meaning.REFUSED, code=NOT_FOUND, texts=("already processed", "already filled", "invalid order id")),
        _rule(Meaning.REFUSED, "order_not_found", "invalid_order_id", "NOT_FOUND", code=NOT_FOUND),
    ),
)

parse_error = ErrorShape(text="error").read
"""`{"error": text}`, or in B `{"code": …, "message": text}`."""


def limits_of(per_second: int, per_minute: int, wallet: str) -> RateLimits:
    """The vendor's limits (requests a second of an address, and a minute of a wallet) as one bucket that passes
    neither, wherever their windows begin: a full bucket and what flows in are together below each."""
    capacity = max(1, min(per_second // 2, per_minute // 60))
    refill = max(1, min(per_second - capacity, (per_minute - capacity) // 60))
    pool = Pool("requests", capacity, refill, scope=PoolScope.WALLET, owner=wallet)
    return RateLimits((pool,), tuple(Cost(kind, pool.name, 1) for kind in RequestKind))
