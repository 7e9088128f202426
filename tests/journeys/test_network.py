from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs.network.__main__ import broken, run
from tests.proofs.network.spec import Spec

QUICK = {"silence_ms_max": 1_500, "read_lag_ms": 200, "connects_per_minute_max": 60}
"""Waits short enough for a test."""


QUICK_OF = {
    "kalqix-a": {"request_timeout_ms": 1_000, "read_lag_ms": 200, "connects_per_minute_max": 90},
    "bitexasia": {"request_timeout_ms": 600, "read_lag_ms": 200, "connects_per_minute_max": 60},
    "zdex-v2": {"request_timeout_ms": 1_000, "read_lag_ms": 200, "connects_per_minute_max": 60},
}


@pytest.mark.parametrize(("venue", "leg"), [("kalqix-a", "rest"), ("bitexasia", "both"), ("zdex-v2", "stream")])
def test_daemon_of_a_venue_when_its_network_is_cut_and_healed_then_it_is_soon_what_the_venue_says(
    tmp_path: Path, venue: str, leg: str
) -> None:
    spec = Spec(
        directory=str(tmp_path / "lane"),
        seed=11,
        trials=(("cut", leg),),
        speed=10.0,
        toxic_s=(0.5, 1.0),
        is_paced=False,
        settings=QUICK_OF[venue],
        venue=venue,
    )

    figures = run([spec])

    assert broken(figures) == [], figures
    assert figures["trials"] == 1


def test_daemon_when_its_network_is_spoiled_and_healed_then_it_is_soon_what_the_venue_says(tmp_path: Path) -> None:
    spec = Spec(
        directory=str(tmp_path / "lane"),
        seed=11,
        trials=(("half_open", "rest"), ("limit", "both"), ("cut", "stream")),
        cases=("frozen",),
        speed=20.0,
        toxic_s=(0.5, 1.5),
        is_paced=False,
        settings=QUICK,
    )

    figures = run([spec])

    assert broken(figures) == [], figures
    assert figures["trials"] == len(spec.trials)
    assert figures["cases"]["frozen"]["noticed_s"] < 4
