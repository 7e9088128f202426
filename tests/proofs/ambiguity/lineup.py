"""The venues that are proved: a later one joins with a row."""

from __future__ import annotations

from collections.abc import Callable

from tests.proofs.ambiguity.bitexasia import BitExAsia
from tests.proofs.ambiguity.venues import Kalshi, VenueUnderTest

VENUES: dict[str, Callable[[], VenueUnderTest]] = {
    "kalshi": Kalshi,
    "bitexasia": BitExAsia,
}
"""By the name that the proof gives them: a venue with dialects has several."""
