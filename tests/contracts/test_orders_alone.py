"""A spot venue that lists neither orders nor fills nor positions, as only tests know one, keeps the contract."""

from __future__ import annotations

import uvloop

from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.stage import Setting
from framework.testing.conformance.suite import play_venue
from tests.architecture.source_tree import ROOT

CASES = ("V04", "V07", "V09", "V10", "V11", "V20", "V24", "V35", "V38", "V40", "V44", "V51", "V56", "V57", "V93", "V96")


def test_venue_when_it_states_orders_one_by_one_and_nothing_else_then_the_contract_holds() -> None:
    venue = find_venues([ROOT / "tests" / "support"])["by_order_venue"]
    played = uvloop.run(play_venue(Setting(venue, library="picows"), CASES))
    failed = [one for one in played if one.finding is not Finding.PASS]
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in failed] == []
    assert len(played) == len(CASES)
