"""What the program says to bad input: the line of each case that has one, as a table of every venue.

A line stands in the table as it was printed. Only what differs from run to run or from venue to venue has a name in
capitals: NAME is the venue, FOLDER a path, ID a request of the venue, N a time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from framework.testing.conformance.findings import Finding
from framework.testing.conformance.stage import Setting
from framework.testing.conformance.suite import Played

HEADS = ("case", "what is wrong", "where", "what the program says", "how to mend it")
EVERY = "every venue"
_VOLATILE = (
    (re.compile(r"(?<![\w/.])/(?:[\w.-]+/)+"), "FOLDER/"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"NAME:[\w-]+"), "NAME:SYMBOL"),
    (re.compile(r"(?<=age_ms=)\d+"), "N"),
    (re.compile(r"(?<=clock_offset_s=)[+-]\d+"), "N"),
)


class Wrong(NamedTuple):
    """One kind of bad input, and what its user does about it."""

    what: str
    remedy: str


KINDS: Mapping[str, Wrong] = {
    "V58": Wrong("key in the wrong format", "put the key into the file as the venue gave it, or download it again"),
    "V59": Wrong("secret of another venue", "name the file of this venue's key"),
    "V52": Wrong("secret of another key", "name the file that belongs to key_id"),
    "V55": Wrong("key that nobody knows", "take key_id from the venue's page of keys"),
    "V53": Wrong("key without the right to trade", "make a key that may trade; with this one only data is read"),
    "V54": Wrong("address that the key does not allow", "add this machine's address to the key's list at the venue; "
                "where it has none, ask from an address that it takes"),
    "V50": Wrong("clock off by an hour", "nothing stops; set this machine's clock"),
    "V83": Wrong("unknown symbol", "write the symbol as the venue lists it, or a pattern"),
    "V84": Wrong("size off the grid", "a multiple of the lot"),
    "V85": Wrong("order below the minimum", "a larger order"),
    "V86": Wrong("dialect that the server does not speak", "set dialect and rest_url of one generation, with its keys"),
    "V87": Wrong("market order without a fresh book", "place it once the book is fresh"),
    "V88": Wrong("leverage above the maximum", "a leverage within the range that the line names"),
    "V89": Wrong("withdrawal without allowance", "what the line says: the setting, or the venue's website"),
}  # fmt: skip
"""By the case that plays it, in the order of the table."""


def place_of(setting: Setting) -> str:
    """Venue and dialect: the stream library says nothing to its user."""
    return f"{setting.venue.name} {setting.dialect}".strip()


def answer_of(played: Played, venue: str) -> str:
    """What the table has for a case: the line, else why there is none."""
    if not played.said:
        return f"({played.finding.value}: {played.detail})" if played.finding is not Finding.PASS else ""
    line = re.sub(rf"\b{venue}\b", "NAME", played.said)
    for pattern, name in _VOLATILE:
        line = pattern.sub(name, line)
    return line.replace("`", "'").replace("|", r"\|")  # what would end the code or the cell


def answers_table(found: Mapping[str, Mapping[str, str]]) -> str:
    """The table, from the answers by case and place."""
    lines = [_row(HEADS), _row(["---"] * len(HEADS))]
    for code, kind in KINDS.items():
        by_answer: dict[str, list[str]] = {}
        for place, answer in found[code].items():
            by_answer.setdefault(answer, []).append(place)
        for answer, places in by_answer.items():
            where = EVERY if len(by_answer) == 1 else ", ".join(places)
            shown = answer if answer.startswith("(not ") else f"`{answer}`"
            lines.append(_row([code, kind.what, where, shown, "" if shown == answer else kind.remedy]))
    return "\n".join(lines)


def answers_in(table: str, places: Sequence[str]) -> dict[tuple[str, str], str]:
    """The answers of a table by case and place, of which `places` are all."""
    found = {}
    for line in table.splitlines()[2:]:
        code, _, where, shown, _ = [cell.strip() for cell in line[1:-1].split(" | ")]
        for place in places if where == EVERY else where.split(", "):
            found[code, place] = shown.strip("`")
    return found


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
