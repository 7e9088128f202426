from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OTHERS = ("kalqix-a", "bitexasia", "zdex-v2")


def proof(*arguments: str) -> tuple[int, dict[str, Any]]:
    """A small run of the proof: its exit code and its figures."""
    command = [sys.executable, "-m", "tests.proofs.sigkill", "--lanes", "1", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_daemon_when_it_is_killed_again_and_again_then_no_order_is_doubled_and_no_fill_is_lost() -> None:
    points = "after-answer-before-record,epoch-after-rename,on-fill-before-record"
    code, figures = proof("--cycles", "4", "--randoms", "1", "--points", points)
    assert (code, figures["wrong"]) == (0, {}), figures["examples"]
    assert sum(figures["reached"].values()) == 3
    assert figures["starts_compared"] >= 3
    assert figures["fills"] > 0


def test_daemon_of_a_venue_when_it_is_killed_then_no_order_is_doubled_and_nothing_is_lost() -> None:
    chosen = ("--cycles", "2", "--randoms", "0", "--points", "after-answer-before-record,on-fill-before-record")
    # Side by side: a start at ZDEX mostly waits.
    with ThreadPoolExecutor() as pool:
        proofs = list(pool.map(lambda venue: proof("--venue", venue, *chosen), OTHERS))
    for code, figures in proofs:
        assert (code, figures["wrong"]) == (0, {}), figures
        assert sum(figures["reached"].values()) == 2
        assert figures["fills"] > 0


@pytest.mark.parametrize("venue", ["kalshi", "kalqix-a"])
def test_proof_when_orders_leave_before_their_records_then_it_fails(venue: str) -> None:
    chosen = ("--venue", venue, "--cycles", "1", "--randoms", "0", "--points", "after-answer-before-record")
    code, figures = proof(*chosen, "--mutant", "wire-before-journal")
    assert code == 1
    assert figures["wrong"]["unrecorded"] > 0
