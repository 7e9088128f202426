"""What came of the cases, as text: a run, and a table of every venue, dialect and library between two markers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from framework.domain.errors import ConfigurationError
from framework.testing.conformance.case import CASES
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.stage import Setting
from framework.testing.conformance.suite import Played

MATRIX, ANSWERS = "conformance", "bad-input"
"""The names of the markers between which a page holds what came of the cases, and what the program said in them."""
SHOWN = {
    Finding.PASS: "pass",
    Finding.NOT_OFFERED: "not offered",
    Finding.NOT_STAGED: "not staged",
    Finding.FAIL: "**fail**",
}
"""How a finding is written in the table."""


def column(setting: Setting) -> str:
    """The head of a setting's column: venue, dialect and library, as far as there is a choice."""
    return " ".join(filter(None, (setting.venue.name, setting.dialect, setting.library)))


def matrix_table(columns: Mapping[str, Sequence[Played]]) -> str:
    """All cases by all columns, as a table in Markdown."""
    cells = {name: {one.case.code: SHOWN[one.finding] for one in played} for name, played in columns.items()}
    lines = [_row(["case", "what a connector does", *cells]), _row(["---"] * (len(cells) + 2))]
    for code, one in sorted(CASES.items()):
        lines.append(_row([code, one.sentence, *(found.get(code, "") for found in cells.values())]))
    return "\n".join(lines)


def report_text(name: str, played: Sequence[Played]) -> str:
    """What came of each case of one column, with its time and why it did not pass, and the sums."""
    lines = []
    for one in played:
        lines.append(f"{one.case.code} {one.finding.value:<11} {one.seconds:5.2f} s  {one.case.sentence}")
        lines += [f"    {one.detail}"] if one.detail else []
    failed = sum(one.is_failure for one in played)
    return "\n".join([*lines, f"{name}: {len(played)} cases, {failed} failed"])


def kept(page: str, name: str) -> str:
    """The table that a page holds between the markers of this name. Raises `ConfigurationError` for a page without
    them."""
    begin, end = _markers(name)
    found = re.search(rf"{re.escape(begin)}\n(.*?)\n{re.escape(end)}", page, re.DOTALL)
    if found is None:
        raise ConfigurationError(f"the page has no {begin} and {end}; write both where the table is to stand")
    return found[1]


def write(file: Path, tables: Mapping[str, str]) -> None:
    """Put tables between the markers of their names. Raises `ConfigurationError` like `kept`, and `OSError`."""
    page = file.read_text(encoding="utf-8")
    for name, table in tables.items():
        begin, end = _markers(name)
        page = page.replace(f"{begin}\n{kept(page, name)}\n{end}", f"{begin}\n{table}\n{end}")
    file.write_text(page, encoding="utf-8")


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
