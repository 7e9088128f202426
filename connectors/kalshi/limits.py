"""What Kalshi offers, and the rate limits of the account as the venue declares them."""

from __future__ import annotations

from connectors.client.rest import SignedRest
from connectors.client.wire.answers import UnreadableAnswer
from connectors.kalshi.rest import queries
from connectors.kalshi.rest.rate_limits import CostTable, documented_costs, rate_limits, tier_limits
from connectors.kalshi.settings import Tier
from framework.domain.errors import RefusedByVenue
from framework.domain.rate_limits import RateLimits
from framework.domain.terms import CancelAllScope, VenueTerms

TERMS = VenueTerms(cancel_all=CancelAllScope.ACCOUNT)
"""What Kalshi offers (vendor docs): limit orders with every time in force and flag; no market orders, no triggers."""


def documented_limits(tier: Tier) -> RateLimits:
    """The documented limits of a tier, for the reads until the account's own are known."""
    return rate_limits(tier_limits(tier), documented_costs())


async def read_limits(rest: SignedRest, tier: Tier) -> RateLimits:
    """The account's rate limits. Where the venue refuses to state them, or states what can't be read, the documented
    ones of `tier`. Raises like all reads for other failures."""
    try:
        costs = CostTable(await queries.get_endpoint_costs(rest))
    except (RefusedByVenue, UnreadableAnswer):
        costs = documented_costs()
    try:
        account = await queries.get_account_limits(rest)
    except (RefusedByVenue, UnreadableAnswer):
        account = tier_limits(tier)
    return rate_limits(account, costs)
