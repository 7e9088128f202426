"""The formats of this program, collected, and compared with the golden list in `tests/data/formats.json`.

A written format may only grow at the end, with defaults. When that is what was done, write the list anew and read the
difference: `python -m tests.architecture.formats --write`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from framework.domain.market_events import MarketEvent
from framework.domain.operator_requests import Answer, Request
from framework.ops.alerts.alert_file import AlertsKept
from framework.ops.alerts.messages import AlertMessage
from framework.persistence.journal.records import Record
from framework.reconciliation.history import PassFound
from framework.state.account_snapshot import StateSnapshot
from tests.architecture.formats_disk import disk_formats, ledger_formats
from tests.architecture.formats_shown import (
    command_line_formats,
    http_formats,
    metric_formats,
    public_names,
    words_of_the_dump,
)
from tests.architecture.formats_walk import DEFAULT, Walk

Formats = dict[str, dict[str, list[str]]]
"""Section -> what -> lines."""

GOLDEN = Path(__file__).parents[1] / "data" / "formats.json"
RULE = "a written format may only grow at the end, with defaults"
SETS = ("words", "names")
"""Sections whose lines have no order."""
ROOTS = {
    "record": Record,
    "tape": MarketEvent,
    "snapshot": StateSnapshot,
    "operator.request": Request,
    "operator.answer": Answer,
    "history": PassFound,
    "alerts file": AlertsKept,
    "alert message": AlertMessage,
}


def collect() -> Formats:
    """Every format as it is now."""
    walk = Walk()
    for place, kind in ROOTS.items():
        walk.add(place, kind)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        command_line = command_line_formats(Path(one))
        command_line["journal dump spells"] = words_of_the_dump(walk)
        return {
            "structs": walk.structs,
            "words": walk.words,
            "disk": disk_formats(Path(other)),
            "ledger": ledger_formats(Path(other)),
            "command line": command_line,
            "http": http_formats(),
            "metrics": metric_formats(),
            "names": public_names(),
        }


def read_golden() -> Formats:
    """The list as it was last agreed."""
    golden: Formats = json.loads(GOLDEN.read_text())
    return golden


def differences(golden: Formats, now: Formats) -> list[str]:
    """One line per change."""
    return [line for section in sorted(golden.keys() | now.keys()) for line in _section(section, golden, now)]


def _section(section: str, golden: Formats, now: Formats) -> Iterator[str]:
    old, new = golden.get(section, {}), now.get(section, {})
    for what in sorted(old.keys() | new.keys()):
        place = f"{section}: {what}"
        if what not in new:
            remedy = f'; a class may be renamed, its tag not: tag="{what}"' if section == "structs" else ""
            yield f"{place} is gone{remedy}; {RULE}"
        elif what not in old:
            yield f"{place} is new: write the list anew"
        elif old[what] != new[what]:
            yield f"{place}: {_change(old[what], new[what], is_ordered=section not in SETS)}"


def _change(old: Sequence[str], new: Sequence[str], *, is_ordered: bool) -> str:
    gone, come = [line for line in old if line not in new], [line for line in new if line not in old]
    if not is_ordered:
        lost = f"{_shown(gone)} is gone; a written word stays, or its old spelling is still read" if gone else ""
        return "; ".join(part for part in (f"{_shown(come)} is new: write the list anew" if come else "", lost) if part)
    if list(new[: len(old)]) == list(old):
        needs = [line for line in come if ": " in line and not line.endswith(DEFAULT)]
        if needs:
            return f"grew by {_shown(needs)} without a default; {RULE}"
        return f"grew at the end by {_shown(come)}: write the list anew"
    if not gone and not come:
        return f"the order changed, from {_shown(old)} to {_shown(new)}; {RULE}"
    if not gone:
        return f"{_shown(come)} came before the end; {RULE}"
    return f"{_shown(gone)} {f'became {_shown(come)}' if come else 'is gone'}; {RULE}"


def _shown(lines: Sequence[str]) -> str:
    return ", ".join(f"`{line}`" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Show what changed; with `--write`, write the list."""
    now = collect()
    changes = differences(read_golden() if GOLDEN.exists() else {}, now)
    sys.stdout.writelines(f"{line}\n" for line in changes)
    if "--write" in arguments:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(now, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        return 0
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
