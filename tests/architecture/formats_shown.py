"""What other programs read of Tidegate: listings as JSON, the operator's and HTTP's answers, metrics."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, get_args

import aiohttp

from framework.cli.journal import described, plain
from framework.cli.list import checks, strategies, venues
from framework.cli.main import main
from framework.config.model import HttpSettings
from framework.config.plugins import Plugins
from framework.domain.account_events import ReportKind
from framework.domain.events import Event, kind_of
from framework.domain.operator_requests import OPERATOR_COMMANDS
from framework.domain.strategy import Strategy
from framework.domain.verdicts import OLD_SPELLINGS, RefusalCode
from framework.ops.alerts.alert import Alert
from framework.ops.alerts.alert_file import AlertFile
from framework.ops.http import ControlServer
from framework.ops.readiness import NotReady, NotReadyKind
from framework.persistence.journal.journal import Journal
from framework.persistence.journal.records import Body, Entry, Record
from framework.persistence.journal.restore import fold_record
from framework.persistence.ledger.ledger import Ledger
from framework.reconciliation.differences import Difference
from framework.runtime.background import InlineWorker
from framework.runtime.disk_writer import InlineWriter
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from framework.runtime.state_directory import JOURNAL_NAME, LEDGER_NAME
from framework.state.accounts import Accounts
from framework.state.trading_states import TradingStates
from tests.architecture.formats_walk import Walk, sample
from tests.framework.cli.test_ledger import SESSION

LISTINGS = (["orders"], ["fills"], ["positions"], ["refusals"], ["orphans"], ["alerts"], ["journal", "verify"])


def command_line_formats(directory: Path) -> dict[str, list[str]]:
    """Keys of each `--json` line, in order; those of `journal dump` by kind."""
    _write_session(directory)
    found = {" ".join(words): list(_lines(directory, *words)[0]) for words in LISTINGS}
    difference = sample(Difference).fields(now_ns=1, monotonic_ns=1)
    found["reconcile data[]"] = list(difference)
    for kind in get_args(Body):
        body = sample(kind)
        found[f"journal dump {kind_of(body)}"] = list(described(Entry(1, Record(1, 1, 1, body))))
    dumped = {line["kind"] for line in _lines(directory, "journal", "dump")}
    assert dumped <= {name.removeprefix("journal dump ") for name in found}
    return found


def words_of_the_dump(walk: Walk) -> list[str]:
    """How `journal dump` spells the members of enums that it does not spell as they are written."""
    words = {(str(member.value), plain(member)) for enum in walk.enums for member in enum}
    return sorted(f"{value} as {word}" for value, word in words if value != word)


def http_formats() -> dict[str, list[str]]:
    """Paths of the control server, with status and the keys of what it answers."""
    return asyncio.run(_http())


def metric_formats() -> dict[str, list[str]]:
    """Metrics with type and labels, and the values of labels that are closed lists."""
    metrics = Metrics()
    kinds: dict[str, list[Any]] = {
        "counter": [*metrics.counters()],
        "gauge": [*metrics.gauges()],
        "histogram": [*metrics.histograms()],
    }
    found = {one.name: [kind, *one.labels] for kind, members in kinds.items() for one in members}
    found["tidegate_events_total kind"] = sorted(kind_of(sample(kind)) for kind in get_args(Event))
    found["tidegate_orders_total outcome"] = ["approved", *sorted(kind.value for kind in ReportKind)]
    found["tidegate_refusals_total code"] = sorted(code.value for code in RefusalCode)
    found["tidegate_strategy_faults_total kind"] = sorted(name for name in dir(Strategy) if name.startswith("on_"))
    return found


def public_names() -> dict[str, list[str]]:
    """Names that configurations, peers and old records use. The class of a check stands in records of its refusals."""
    plugins = Plugins()
    return {
        "checks": sorted(one.use for one in checks(plugins)),
        "strategies": sorted(one.use for one in strategies(plugins)),
        "venues": sorted(one.use for one in venues(plugins)),
        "operator commands": sorted(OPERATOR_COMMANDS),
        "old refusal codes": sorted(f"{code}: {old}" for old, code in OLD_SPELLINGS.items()),
    }


def _write_session(directory: Path) -> None:
    journal, _ = Journal.open(RealFiles(), directory / JOURNAL_NAME, start_writer=InlineWriter, worker=InlineWorker())
    ledger, accounts = Ledger.open(directory / LEDGER_NAME, InlineWorker()), Accounts()
    for number, body in enumerate(SESSION, 1):
        record = Record(number, 1, number, body)
        journal.append(record)
        ledger.apply(Entry(number, record))
        ledger.put_orders(fold_record(accounts, body, 1))
    journal.close()
    ledger.close()
    AlertFile(RealFiles(), directory).write((sample(Alert),))


def _lines(directory: Path, *words: str) -> list[dict[str, Any]]:
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(io.StringIO()):
        main([*words, "--json", "--state-dir", str(directory)])
    return [json.loads(line) for line in output.getvalue().splitlines()]


async def _no_metrics() -> bytes:
    return b""


async def _http() -> dict[str, list[str]]:
    reasons: list[NotReady] = []
    server = ControlServer(
        HttpSettings(port=0),
        render_metrics=_no_metrics,
        beat_age_ns=lambda: 0,
        not_ready=lambda: reasons,
        trading=TradingStates(),
    )
    port = await server.start()
    found: dict[str, list[str]] = {}
    try:
        async with aiohttp.ClientSession() as client:
            for path, host, told in _requests():
                reasons[:] = [NotReady(NotReadyKind.STARTING, text) for text in told]
                async with client.get(f"http://127.0.0.1:{port}{path}", headers={"Host": host}) as answer:
                    text = await answer.text()
                    keys = list(json.loads(text)) if answer.content_type == "application/json" else []
                    name = f"{path} {answer.status}"
                    found[name] = [answer.headers["Content-Type"], *keys]
    finally:
        await server.close()
    return found


def _requests() -> Iterator[tuple[str, str, list[str]]]:
    """Path, host and reasons why the daemon is not ready."""
    yield "/metrics", "localhost", []
    yield "/healthz", "localhost", []
    yield "/readyz", "localhost", []
    yield "/readyz", "localhost", ["why"]
    yield "/readyz", "elsewhere", []
