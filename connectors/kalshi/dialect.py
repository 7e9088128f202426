"""The two generations of Kalshi's API as dialects: how orders are written, what is offered, and what limits hold. Pure.

"current" is the venue of today. "v1" is the generation of the vendor's older getting-started pages; production answers
its orders with 410, so it is for a host that still speaks it. What is read is understood in both (`v1.older`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from connectors.kalshi.limits import TERMS, documented_limits
from connectors.kalshi.markets.instruments import LOT
from connectors.kalshi.rest.gateway import CURRENT_WRITES, OrderWrites
from connectors.kalshi.settings import ASSUMPTIONS, DialectName, Tier
from connectors.kalshi.v1 import writes as v1
from framework.domain.numbers import Size
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import CancelAllScope, VenueTerms


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the generations. `lot` is the smallest size and the step of sizes, `tier_limits` what a tier
    may send; `is_current`: it states the account's own limits, and takes `use_yes_price`."""

    writes: OrderWrites
    tier_limits: Callable[[Tier], RateLimits]
    terms: VenueTerms
    assumptions: tuple[str, ...]
    lot: Size
    is_current: bool


CURRENT = Dialect(
    writes=CURRENT_WRITES,
    tier_limits=documented_limits,
    terms=TERMS,
    assumptions=ASSUMPTIONS,
    lot=LOT,
    is_current=True,
)
V1 = Dialect(
    writes=OrderWrites(v1.older_order, v1.older_amend, v1.older_cancel, v1.older_cancel_by_id, v1.older_ack),
    tier_limits=v1.older_limits,
    terms=msgspec.structs.replace(TERMS, cancel_all=CancelAllScope.NONE),
    assumptions=(
        *ASSUMPTIONS,
        "The older generation has user_orders and market_positions on the stream, and get_snapshot, as today.",
        "In the older generation a fill states its fee_cost, in dollars as text, and its trade_id, on the stream too.",
        "In the older generation an amend keeps the client order id, and its count is the total with what is filled.",
    ),
    lot=v1.CONTRACT,
    is_current=False,
)
DIALECTS: dict[DialectName, Dialect] = {"current": CURRENT, "v1": V1}
