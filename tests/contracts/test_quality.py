"""`quality.toml` of each venue: the same list for all, and what is said to be done is shown by a test or a case."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from framework.testing.conformance.matrix import MATRIX, kept
from tests.architecture.source_tree import ROOT

RULES = {
    "settings": "frozen, unknown keys refused, secrets as files",
    "signature": "checked by code that is not ours, or written apart",
    "signature_per_attempt": "each attempt is signed when it is sent",
    "nonce": "grows, also over a restart, where the venue has one",
    "clock_offset": "the venue's clock is measured",
    "recorded_answers": "answers of the venue, or of its page, decode",
    "unknown_input": "what is not known is counted, not guessed",
    "sequence": "a book that misses something is not fresh",
    "reconnect": "a connection that ends or falls silent is replaced",
    "read_budget": "reads are paid before they are sent",
    "write_budget": "the limits of orders are declared",
    "unknown_outcome": "what proves nothing leaves an order unknown",
    "look_up": "an order without an answer is found",
    "settlement": "what a market pays is read",
    "fees": "fees are those of the venue",
    "fee_changes_while_running": "a change of fees is followed",
    "batches": "several orders by one request",
    "order_groups": "orders that end together",
    "live_proof": "tried against the live service",
}
"""What every venue is held to. It may state more of its own."""
STATUSES = ("done", "todo", "exempt")
VENUES = sorted(path.parent.name for path in ROOT.glob("connectors/*/plugin.py"))


def flaws(venue: str, table: Mapping[str, Any], passed: Mapping[str, str]) -> list[str]:
    """What is wrong with a venue's list; `passed` has its cases of the contract suite and what came of each."""
    rules: dict[str, dict[str, Any]] = table["rules"]
    found = [f"venue is {table['venue']}"] if table["venue"] != venue else []
    found += [f"{name}: not in the list" for name in sorted(RULES.keys() - rules.keys())]
    for name, rule in rules.items():
        shown_by = rule.get("by", [])
        if rule["status"] not in STATUSES or not rule["note"].strip():
            found.append(f"{name}: give a status ({', '.join(STATUSES)}) and a note")
        if (rule["status"] == "done") != bool(shown_by):
            found.append(f"{name}: what is done is shown by something, and nothing else is: {shown_by}")
        found += [f"{name}: {one} shows nothing" for one in shown_by if not _shows(one, passed)]
    return found


def _shows(proof: str, passed: Mapping[str, str]) -> bool:
    if proof.startswith("V"):
        return passed.get(proof) == "pass"
    path, _, name = proof.partition("::")
    return (ROOT / path).is_file() and f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def cases_of(venue: str) -> dict[str, str]:
    """The venue's first column of the page's table: what came of each case."""
    table = kept((ROOT / "connectors" / "README.md").read_text(), MATRIX)
    lines = [line[2:-2].split(" | ") for line in table.splitlines()]
    number = next((at for at, name in enumerate(lines[0]) if name.partition(" ")[0] == venue), None)
    return {} if number is None else {line[0]: line[number] for line in lines[2:]}


@pytest.mark.parametrize("venue", VENUES)
def test_quality_when_it_is_read_then_each_rule_stands_there_and_what_is_done_is_shown(venue: str) -> None:
    table = tomllib.loads(Path(ROOT / "connectors" / venue / "quality.toml").read_text(encoding="utf-8"))
    assert flaws(venue, table, cases_of(venue)) == []


@pytest.mark.parametrize(
    ("rule", "flaw"),
    [
        ({"status": "done", "note": "yes"}, "look_up: what is done is shown by something"),
        ({"status": "done", "note": "yes", "by": ["V99"]}, "look_up: V99 shows nothing"),
        ({"status": "done", "note": "yes", "by": ["V35"]}, "look_up: V35 shows nothing"),
        ({"status": "done", "note": "yes", "by": ["tests/no_such.py::test"]}, "look_up: tests/no_such.py::test shows"),
        ({"status": "todo", "note": "no", "by": ["V01"]}, "look_up: what is done is shown by something"),
        ({"status": "perhaps", "note": "no"}, "look_up: give a status"),
        ({"status": "todo", "note": " "}, "look_up: give a status"),
    ],
)
def test_quality_when_a_rule_is_not_shown_then_it_is_reported(rule: dict[str, Any], flaw: str) -> None:
    others = {name: {"status": "exempt", "note": "not here"} for name in RULES}
    table = {"venue": "tide", "rules": others | {"look_up": rule}}
    found = flaws("tide", table, {"V01": "pass", "V35": "not offered"})
    assert any(one.startswith(flaw) for one in found), found


def test_quality_when_a_rule_is_missing_then_it_is_reported_and_one_of_its_own_is_none() -> None:
    rules = {name: {"status": "exempt", "note": "not here"} for name in (*list(RULES)[1:], "speed")}
    assert flaws("tide", {"venue": "tide", "rules": rules}, {}) == ["settings: not in the list"]
