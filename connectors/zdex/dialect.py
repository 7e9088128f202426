"""What differs between the two generations of the venue, and what is assumed of both."""

from __future__ import annotations

from typing import Literal, NamedTuple

DialectName = Literal["v1", "v2"]
STALE = "stale_time"
"""The code of a 401 whose request was off the venue's clock: the venue has one status and one text for all of them."""


class Dialect(NamedTuple):
    """One generation, from the vendor's pages. `drift_ms` is how far a timestamp may be off the venue's clock; with
    `has_client_ids` an order may carry our id. Shapes that differ are read in either form."""

    drift_ms: int
    has_client_ids: bool


DIALECTS: dict[DialectName, Dialect] = {
    "v1": Dialect(drift_ms=30_000, has_client_ids=False),
    "v2": Dialect(drift_ms=5_000, has_client_ids=True),
}

ASSUMPTIONS = (
    "Nothing has been tried against the live service; docs.zdex.world and docs.zetariumdex.com of 2026 were read.",
    "The signature covers the query alone in v1, as v2 documents it, and counts once; none is ever sent twice.",
    "A 4xx with the venue's own text means that nothing was done; 5xx and foreign answers prove nothing.",
    "A 401 of a request that was off the venue's clock is about its time; any other one is about the key.",
    "DELETE /orders/ID cancels in both dialects; a refusal of it says nothing of how the order ended.",
    "Lists of orders begin with the newest, and their rows have createdAt and venueOrderId in v1, too.",
    "myTrades name an order by its venueOrderId; without fromId they are the newest, with it those from there on.",
    "The fills of resting orders are in no list in v1 either, and what an order has traded is stated nowhere.",
    "LIMIT orders rest until cancelled; MARKET orders fill or end as CANCELED; triggers watch the last price.",
    "Fees are those of the settings: neither a page nor a list states them.",
    "/me/funding-history has id, symbol, asset, amount and time; /market/symbols the filters of Binance futures.",
    "An orderbook message is the whole top 50 and replaces what was known; lastUpdateId only grows.",
    "v1 has the rate limits of v2: 1,000 requests and 300 new orders a minute.",
    "The account is in the position mode ONE_WAY; in another one the venue refuses orders of positionSide BOTH.",
    "The maintenance margin is 0.4 % of a position's value.",
)
"""What is assumed of the venue without a check against it, a sentence each."""
