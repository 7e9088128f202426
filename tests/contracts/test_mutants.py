"""The suite bites: a connector with one protection taken out is caught by the case that is named for it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

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
from framework.testing.conformance.findings import Finding
from framework.testing.conformance.sandbox import Sandbox
from framework.testing.conformance.session import Wrap
from framework.testing.conformance.stage import Setting, unchanged
from framework.testing.conformance.suite import play_case
from tests.proofs.ambiguity.mutants import Altered, resending

WAIT_S_MAX = 2.0


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


class Suite:
    """One sandbox on one loop, for all tests of this file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._venue = find_venues()["kalshi"]
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._sandbox = self._runner.run(Sandbox.start(self._venue, directory))
        self._count = 0

    def play(self, code: str, wrap: Wrap = unchanged) -> Finding:
        """What comes of one case with a connector that is exchanged."""
        self._count += 1
        setting = Setting(self._venue, library=self._venue.libraries[0], wrap=wrap, wait_s_max=WAIT_S_MAX)
        directory = self._directory / str(self._count)
        return self._runner.run(play_case(CASES[code], setting, self._sandbox, directory)).finding

    def close(self) -> None:
        """End the sandbox and the loop."""
        self._runner.run(self._sandbox.stop())
        self._runner.close()


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    # Not pytest's own folder: the path of a socket has a limit.
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        made = Suite(Path(folder))
        yield made
        made.close()


@pytest.mark.parametrize(
    ("code", "wrap"),
    [
        pytest.param("V09", dropping_fills, id="drops-fills"),
        pytest.param("V09", publishing(_doubled), id="doubles-fills"),
        pytest.param("V07", publishing(_pennies_off), id="misreads-fees"),
        pytest.param("V05", publishing(_repeated), id="repeats-trades"),
        pytest.param("V20", rejecting, id="rejects-what-got-no-answer"),
        pytest.param("V24", resending, id="sends-again-under-a-new-id"),
        pytest.param("V43", first_page_only, id="reads-the-first-page-only"),
        pytest.param("V44", hasty, id="takes-a-read-that-lags-for-a-proof"),
    ],
)
def test_connector_when_a_protection_is_taken_out_then_its_case_fails(suite: Suite, code: str, wrap: Wrap) -> None:
    assert suite.play(code, wrap) is Finding.FAIL


@pytest.mark.parametrize("code", ["V09", "V44"])
def test_connector_when_it_is_as_it_is_then_the_same_cases_pass(suite: Suite, code: str) -> None:
    assert suite.play(code) is Finding.PASS


def test_connector_when_it_ignores_a_gap_then_its_case_fails(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamSession, "is_in_order", lambda *_: True)
    assert suite.play("V04") is Finding.FAIL


@pytest.mark.parametrize("code", ["V50", "V51"])
def test_connector_when_it_signs_with_a_stale_clock_then_its_case_fails(
    suite: Suite, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ignore(*_arguments: Any, **_named: Any) -> None: ...

    monkeypatch.setattr(VenueTime, "sample_date", ignore)
    monkeypatch.setattr(VenueTime, "sample_ms", ignore)
    assert suite.play(code) is Finding.FAIL
