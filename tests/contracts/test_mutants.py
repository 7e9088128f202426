"""The suite bites: a connector with one protection taken out is caught by the case that is named for it."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
import pytest
import uvloop

from connectors.client.session import StreamSession
from connectors.client.venue_time import VenueTime
from framework.domain.account_events import Fill, OrderReport, ReportKind
from framework.domain.errors import OutcomeUnknown
from framework.domain.events import Event
from framework.domain.market_events import TradePrint
from framework.domain.venue import Connector, LastWord, Publish, nothing_against
from framework.domain.verdicts import Signed
from framework.testing.conformance.candidates import find_venues
from framework.testing.conformance.case import CASES
from framework.testing.conformance.cases import limits_and_access
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.session import WAIT_S_MAX, Wrap
from framework.testing.conformance.stage import Setting, unchanged
from framework.testing.conformance.suite import Played, play_case
from tests.proofs.ambiguity.mutants import Altered, resending

VAIN_S = 2.0
"""So long a mutant waits for what never comes."""
LANES = 5
VENUE = find_venues()["kalshi"]


class Play(NamedTuple):
    """A case, how its connector is exchanged, and how long a condition may take."""

    code: str
    wrap: Wrap = unchanged
    wait_s_max: float = VAIN_S


def publishing(change: Callable[[Event], list[Event]]) -> Wrap:
    """A connector whose events are exchanged: each for none, one or more."""

    def wrap(connector: Connector) -> Connector:
        async def start(publish: Publish, /) -> None:
            def changed(event: Event, now_ns: int = 0, monotonic_ns: int = 0, /) -> None:
                for one in change(event):
                    publish(one, now_ns, monotonic_ns)

            await connector.start(changed)

        return cast("Connector", Altered(connector, start=start))

    return wrap


def dropping_fills(connector: Connector) -> Connector:
    """No fill arrives: neither as it happens nor in the list of fills."""

    async def fills(_since_ns: int, /) -> tuple[Fill, ...]:
        return ()

    silent = publishing(lambda event: [] if isinstance(event, Fill) else [event])(connector)
    return cast("Connector", Altered(silent, gateway=Altered(connector.gateway, fills=fills)))


def rejecting(connector: Connector) -> Connector:
    """An order whose answer is lost is called rejected."""
    gateway = connector.gateway

    async def send(signed: Signed, /, *, last_word: LastWord = nothing_against) -> tuple[Event, ...]:
        try:
            return await gateway.send(signed, last_word=last_word)
        except OutcomeUnknown:
            approved = signed.approved
            name, kind = approved.client_order_id, ReportKind.REJECTED
            return (OrderReport(venue=approved.venue, client_order_id=name, kind=kind, ts_recv=approved.ts_ns),)

    return cast("Connector", Altered(connector, gateway=Altered(gateway, send=send)))


def hasty(connector: Connector) -> Connector:
    """Reads are taken to be as new as writes."""
    return cast("Connector", Altered(connector, gateway=Altered(connector.gateway, read_lag_ms=0)))


def first_page_only(connector: Connector) -> Connector:
    """Of the list of fills only the oldest row arrives."""
    gateway = connector.gateway

    async def fills(since_ns: int, /) -> tuple[Fill, ...] | None:
        listed = await gateway.fills(since_ns)
        return None if listed is None else listed[:1]

    return cast("Connector", Altered(connector, gateway=Altered(gateway, fills=fills)))


def _doubled(event: Event) -> list[Event]:
    if isinstance(event, Fill):
        return [event, msgspec.structs.replace(event, fill_id=f"{event.fill_id}-again")]
    return [event]


def _repeated(event: Event) -> list[Event]:
    return [event, event] if isinstance(event, TradePrint) else [event]


def _pennies_off(event: Event) -> list[Event]:
    return [msgspec.structs.replace(event, fee=event.fee + 1)] if isinstance(event, Fill) else [event]


def played(plays: Mapping[str, Play]) -> dict[str, Played]:
    """What comes of each play, side by side: most of them wait in vain for what never comes."""
    # Not pytest's own folder: the path of a socket has a limit.
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        return uvloop.run(_play_all(plays, Path(folder)))


def findings(plays: Mapping[str, Play]) -> dict[str, Finding]:
    """The findings alone."""
    return {name: one.finding for name, one in played(plays).items()}


async def _play_all(plays: Mapping[str, Play], folder: Path) -> dict[str, Played]:
    waiting, found = deque(plays), dict[str, Played]()
    lanes = [_play_lane(plays, waiting, found, folder / str(one)) for one in range(min(LANES, len(plays)))]
    await asyncio.gather(*lanes)
    return found


async def _play_lane(plays: Mapping[str, Play], waiting: deque[str], found: dict[str, Played], folder: Path) -> None:
    folder.mkdir()
    sandbox = await Sandbox.start(VENUE, folder)
    try:
        while waiting:
            name = waiting.popleft()
            code, wrap, wait_s_max = plays[name]
            setting = Setting(VENUE, library=VENUE.libraries[0], wrap=wrap, wait_s_max=wait_s_max)
            found[name] = await play_case(CASES[code], setting, sandbox, folder / name)
    finally:
        await sandbox.stop()


MUTANTS = {
    "drops-fills": Play("V09", dropping_fills),
    "doubles-fills": Play("V09", publishing(_doubled)),
    "misreads-fees": Play("V07", publishing(_pennies_off)),
    "repeats-trades": Play("V05", publishing(_repeated)),
    "rejects-what-got-no-answer": Play("V20", rejecting),
    "sends-again-under-a-new-id": Play("V24", resending),
    "reads-the-first-page-only": Play("V43", first_page_only),
}
LAG_MS, LOOKS_S = 60_000, 6.0
"""So long no look-up shows the order, and so long it is waited for: a loaded machine takes it for lost within this."""


def test_connector_when_a_protection_is_taken_out_then_its_case_fails_and_as_it_is_it_passes() -> None:
    as_it_is = {one.code: Play(one.code, wait_s_max=WAIT_S_MAX) for one in MUTANTS.values()}
    found = findings({**MUTANTS, **as_it_is})
    assert found == dict.fromkeys(MUTANTS, Finding.FAIL) | dict.fromkeys(as_it_is, Finding.PASS)


def test_connector_when_it_ignores_a_gap_or_takes_a_read_that_lags_for_a_proof_then_its_case_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StreamSession, "is_in_order", lambda *_: True)
    monkeypatch.setattr(limits_and_access, "LAG_MS", LAG_MS)
    found = played({"gap": Play("V04"), "hasty": Play("V44", hasty, LOOKS_S)})
    assert found["gap"].finding is found["hasty"].finding is Finding.FAIL
    assert "was to be working" in found["hasty"].detail
    assert "REJECTED" in found["hasty"].detail, found["hasty"].detail


def test_connector_when_it_signs_with_a_stale_clock_then_its_cases_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def ignore(*_arguments: Any, **_named: Any) -> None: ...

    monkeypatch.setattr(VenueTime, "sample_date", ignore)
    monkeypatch.setattr(VenueTime, "sample_ms", ignore)
    found = findings({code: Play(code) for code in ("V50", "V51")})
    assert found == {"V50": Finding.FAIL, "V51": Finding.FAIL}
