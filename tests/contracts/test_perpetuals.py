"""What no venue of the package offers is held to the contract by a venue of perpetuals that only tests know."""

from __future__ import annotations

import uvloop

from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.stage import Setting
from framework.testing.conformance.suite import play_venue
from tests.architecture.source_tree import ROOT

CASES = ("V09", "V38", "V40", "V52", "V54", "V56", "V57", "V60", "V62", "V66", "V69", "V73", "V74", "V76", "V93", "V97")


def test_perpetuals_when_fills_hide_funding_is_paid_and_positions_are_liquidated_then_the_contract_holds() -> None:
    venue = find_venues([ROOT / "tests" / "support"])["perp_venue"]
    played = uvloop.run(play_venue(Setting(venue, library="picows"), CASES))
    failed = [one for one in played if one.finding is not Finding.PASS]
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in failed] == []
    assert len(played) == len(CASES)
