"""What no venue of the package offers is held to the contract by venues that only tests know."""

from __future__ import annotations

import pytest
import uvloop

from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.stage import Setting
from framework.testing.conformance.suite import play_venue
from tests.architecture.source_tree import ROOT

PERPETUALS = "V09 V38 V40 V52 V54 V56 V57 V60 V62 V66 V69 V73 V74 V76 V93 V97"
"""Of a venue whose fills hide, where funding is paid and positions are liquidated."""

ORDERS_ALONE = "V04 V07 V09 V10 V11 V20 V24 V35 V38 V40 V44 V51 V56 V57 V93 V96"
"""Of a spot venue that lists neither orders nor fills nor positions, and states orders one by one."""


@pytest.mark.parametrize(("name", "cases"), [("perp_venue", PERPETUALS), ("by_order_venue", ORDERS_ALONE)])
def test_venue_when_it_lists_less_than_those_of_the_package_then_the_contract_holds(name: str, cases: str) -> None:
    venue = find_venues([ROOT / "tests" / "support"])[name]
    played = uvloop.run(play_venue(Setting(venue, library="picows"), cases.split()))
    failed = [one for one in played if one.finding is not Finding.PASS]
    assert [f"{one.case.code} {one.case.sentence}: {one.detail}" for one in failed] == []
    assert len(played) == len(cases.split())
