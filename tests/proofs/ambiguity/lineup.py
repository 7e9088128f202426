"""The venues that are proved: a later one joins with a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.proofs.ambiguity.bitexasia import BitExAsia
from tests.proofs.ambiguity.kalqix import Kalqix
from tests.proofs.ambiguity.venues import Kalshi, VenueUnderTest
from tests.proofs.ambiguity.zdex import Zdex

VENUES: dict[str, Callable[[], VenueUnderTest]] = {
    "kalshi": Kalshi,
    "bitexasia": BitExAsia,
    "kalqix-a": partial(Kalqix, "a"),
    "kalqix-b": partial(Kalqix, "b"),
    "zdex-v1": partial(Zdex, "v1"),
    "zdex-v2": partial(Zdex, "v2"),
}
"""By the name that the proof gives them: a venue with dialects has several."""
