"""What each venue declares that it lists, as its connector declares it, and how an order is found there."""

from __future__ import annotations

from typing import NamedTuple

from connectors.bitexasia.limits import terms_of as bitexasia_terms
from connectors.kalqix.dialect import DIALECTS as KALQIX
from connectors.kalshi.limits import TERMS as KALSHI_TERMS
from connectors.zdex.connector import terms_of as zdex_terms
from connectors.zdex.dialect import DIALECTS as ZDEX
from framework.domain.terms import FillListing, PositionListing, VenueTerms


class Dialect(NamedTuple):
    """`is_by_content`: without ids of ours an order is found by content and time; else by what was sent, exactly."""

    name: str
    terms: VenueTerms
    is_by_content: bool = False


_LISTS = (
    Dialect("kalshi", KALSHI_TERMS),
    *(Dialect(f"kalqix-{name}", one.terms) for name, one in KALQIX.items()),
    Dialect("bitexasia", bitexasia_terms(optional_fields=False)),
    *(Dialect(f"zdex-{name}", zdex_terms(one), not one.has_client_ids) for name, one in ZDEX.items()),
    Dialect("lists open orders alone", VenueTerms(fills=FillListing.BY_ORDER, positions=PositionListing.NONE)),
)
DIALECTS = {one.name: one for one in _LISTS}
"""The last is no venue that we know: what an order states of its fills, together with a list of open orders."""
