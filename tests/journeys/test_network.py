from __future__ import annotations

from pathlib import Path

from tests.proofs.network.__main__ import broken, run
from tests.proofs.network.spec import Spec

QUICK = {"silence_ms_max": 1_500, "read_lag_ms": 200, "connects_per_minute_max": 60}
"""Waits short enough for a test."""


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
