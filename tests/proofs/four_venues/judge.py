"""Which promises a run has broken, by its figures."""

from __future__ import annotations

from collections.abc import Iterator
from re import search
from typing import Any

from framework.domain.errors import EXIT_ORDERS_LEFT

MEMORY_GROWTH_MIB_MAX = 4.0
MEMORY_ROW_KIB_MAX = 6.0
"""What a run may hold more at its end than once it is warm: so much, and so much for each order and fill since then. Of
each the newest 10,000 are kept, and once a minute the state is made a second time, from the disk."""

EXPLAINED = {
    "death": "order may be left",
    "ip_refused": "refuses the account",
}
"""What a fault leads to that is an error in the log; the line names the venue."""

Json = dict[str, Any]


def broken(figures: Json) -> list[str]:
    """The promises that were not kept."""
    return [*_of_truth(figures), *_of_running(figures), *map(str, _of_faults(figures)), *_of_deaths(figures)]


def _of_truth(figures: Json) -> Iterator[str]:
    for name in ("apart_when_halted", "apart_after_stop", "apart_at_the_dead"):
        for venue, apart in figures[name].items():
            yield f"{name}: {venue}: {len(apart)}, first {apart[0]}"
    for venue, count in figures["rate_limited"].items():
        if beyond := count - figures["struck"].get(venue, {}).get("rate_limit_storm", 0):
            yield f"{beyond} answers of 429 at {venue} beside the storm"
    for venue, answers in figures["unauthorized"].items():
        refused = {answer: count for answer, count in answers.items() if _refuses_signature(answer)}
        if sum(refused.values()) > figures["struck"].get(venue, {}).get("replay_refusal", 0):
            yield f"refused signatures at {venue}: {refused}"


def _refuses_signature(answer: str) -> bool:
    said = answer.lower()
    return said.startswith("401") or "signature" in said or "duplicate" in said


def _of_running(figures: Json) -> Iterator[str]:
    left = any(figures["open_at_the_dead"].values())
    if figures["exit_code"] != (EXIT_ORDERS_LEFT if left else 0):
        yield f"exit code {figures['exit_code']}"
    if figures["reconcile"]["code"] != (1 if figures["open_at_the_dead"] else 0):
        yield f"reconcile: {figures['reconcile']}"
    memory = figures["memory_mib"]
    if memory["end"] - memory["warm"] > MEMORY_GROWTH_MIB_MAX + memory["rows"] * MEMORY_ROW_KIB_MAX / 1024:
        yield f"memory grew: {memory}"
    if not figures["traded_after_resume"]:
        yield "after the halt was lifted not every venue was traded at"
    reasons = [(one["venue"], one["kind"]) for one in figures["incidents"]]
    reasons += [(venue, "death") for venue in figures["open_at_the_dead"]]
    for line in figures["errors"]:
        if not any(venue in line and search(EXPLAINED.get(kind, "^$"), line) for venue, kind in reasons):
            yield f"unexplained: {line}"


def _of_faults(figures: Json) -> Iterator[str]:
    for one in figures["incidents"]:
        what = f"{one['kind']} at {one['venue']}"
        if not one["is_struck"]:
            yield f"{what} met nothing to strike"
        if one["trouble"]:
            yield f"after {what} it is not traded at: {one['trouble']}"
        if one["others_down"]:
            yield f"while {what}, others were down: {', '.join(one['others_down'])}"
        if one["others_orders"] and not any(one["others_orders"].values()):
            yield f"while {what}, no order at {', '.join(one['others_orders'])}"


def _of_deaths(figures: Json) -> Iterator[str]:
    for what, one in (figures["deaths"] or {}).items():
        for venue, count in one["after"].items():
            if not count and venue != "kalshi" and (what == "revived" or venue != one["venue"]):
                yield f"after {one['venue']} {what}, no order at {venue}"
