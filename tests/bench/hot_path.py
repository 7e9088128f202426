"""The way of a tick and of an order through the core, in this process, with everything on but the network."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from msgspec.structs import replace

from connectors.client.counts import DecodeCounts
from connectors.kalshi.wire.decode_stream import FrameDecoder
from framework.assembly import CoreSettings, assemble
from framework.config.layers import load
from framework.config.resolve import resolve
from framework.domain.account_events import InstrumentDefined, OrderReport, ReportKind
from framework.domain.client_order_ids import ClientOrderIds
from framework.domain.intents import NewOrder
from framework.domain.market_events import BookDelta, BookSnapshot, ConnectorStatus, LimitsDeclared, TermsDeclared
from framework.domain.numbers import Price, Size
from framework.domain.orders import Side
from framework.domain.rate_limits import Cost, Pool, RateLimits, RequestKind
from framework.domain.strategy import Strategy
from framework.domain.terms import UNDECLARED
from framework.domain.verdicts import Approved, Signed
from framework.domain.views import BookView
from framework.execution.send_ledger import SendLedger
from framework.ops.telemetry import Telemetry
from framework.persistence.journal.journal import Journal
from framework.persistence.recorder import Recorder
from framework.runtime.background import InlineWorker
from framework.runtime.clock import SystemClock
from framework.runtime.disk_writer import DiskWriter, Durability
from framework.runtime.files import RealFiles
from framework.runtime.metrics import Metrics
from framework.state.accounts import Accounts
from framework.state.books import Books
from framework.state.order_book import Book
from framework.state.risk_view import View
from risk.budget.venue_budget import VenueBudget
from risk.checks.max_open_orders import MaxOpenOrders
from risk.gate import Gate
from tests.bench.figures import compare
from tests.support.state_records import kalshi_market, new, report

INSTRUMENT = kalshi_market("T")
MARKET = INSTRUMENT.id
LIMITS = RateLimits(
    pools=(Pool("write", 10**9, 10**9),),
    costs=tuple(Cost(kind, "write", 1) for kind in RequestKind),
)
NEW_CHECKS = ("self_trade", "duplicate_order", "repeated_execution")
"""Of the default's checks those that version 0.1.0 did not have."""
FRAME = (
    b'{"type":"orderbook_delta","sid":1,"seq":2,"sending_ts_ms":1781159489958,"msg":{"market_ticker":"T","market_id":'
    b'"f5ed38e2-0991-4c8f-817e-08c4fd9cbfdb","clock":4182061,"price_dollars":"0.4700","delta_fp":"-3.00","side":"yes",'
    b'"ts":"2026-06-11T06:31:29.957081Z","ts_ms":1781159489957}}'
)


class Quoter(Strategy[None]):
    """Places one bid at each change of the book while `is_on`."""

    is_on = False

    def on_book(self, book: BookView) -> None:
        """Bid at the best bid."""
        if self.is_on and book.bid is not None:
            self.buy(MARKET, book.bid, Size(100), post_only=True, allow_duplicate=True)


class Core:
    """Kernel, state, the default configuration's checks, a real journal and metrics; nothing carries the outbox."""

    def __init__(self, directory: Path, durability: Durability, *, refusals_per_second_max: int = 1_000) -> None:
        clock, metrics = SystemClock(), Metrics()
        self.journal, _ = Journal.open(
            RealFiles(),
            directory / "journal",
            start_writer=lambda sink: DiskWriter(sink, clock=clock, durability=durability),
            worker=InlineWorker(),
        )
        accounts, books = Accounts(), Books()
        core = assemble(
            CoreSettings(
                venues=["kalshi"],
                checks=resolve(load((), environ={}, overrides=())).checks,
                strategy_call_ms_max=1_000,
                refusals_per_second_max=refusals_per_second_max,
            ),
            clock=clock,
            accounts=accounts,
            books=books,
            next_client_order_id=ClientOrderIds("b", 1).next,
            recorder=Recorder(self.journal),
            watcher=Telemetry(metrics, accounts, clock),
            timers=None,  # type: ignore[arg-type]
            on_journal_failure=lambda e: None,
            log=lambda *_, **__: None,
        )
        self.kernel, self.queue, self.add_strategy = core.kernel, core.queues["kalshi"], core.add_strategy
        self.quoter: Quoter = core.add_strategy("quoter", Quoter, None, (MARKET,))  # type: ignore[assignment]
        now_ns = clock.now_ns()
        levels = tuple((Price(4_700 - 100 * n), Size(10_000)) for n in range(10))
        asks = tuple((Price(4_900 + 100 * n), Size(10_000)) for n in range(10))
        for event in (
            InstrumentDefined(INSTRUMENT, now_ns),
            LimitsDeclared("kalshi", LIMITS, now_ns),
            TermsDeclared("kalshi", UNDECLARED, now_ns),
            ConnectorStatus("kalshi", True, "bench", now_ns),
            BookSnapshot(MARKET, now_ns, now_ns, levels, asks),
        ):
            self.kernel.publish(event)
        self.deltas: Iterator[BookDelta] = cycle(
            BookDelta(MARKET, 0, 0, Side.BUY, Price(4_600), Size(change)) for change in (100, -100)
        )

    def tick(self) -> None:
        """One delta that no strategy trades on."""
        self.kernel.publish(next(self.deltas))

    def order(self) -> None:
        """One delta, the order that it causes, and the venue's rejection, so that the limits stay open."""
        self.quoter.is_on = True
        self.tick()
        self.quoter.is_on = False
        request = self.queue.pop()
        assert request is not None, "the gate refused: nothing was measured"
        self.kernel.publish(
            OrderReport(
                venue="kalshi", client_order_id=request.approved.client_order_id, kind=ReportKind.REJECTED, ts_recv=1
            )
        )

    def close(self) -> None:
        """Flush and close the journal."""
        self.journal.close()


def compare_gates(core: Core) -> None:
    """What an order's judgement costs beside the gate that asked ten questions, with quotes of ours on both sides."""
    checks = resolve(load((), environ={}, overrides=())).checks
    view = core.kernel.dependencies.view
    for number in range(20):
        side, price = (Side.BUY, 4_600 - 100 * number) if number < 10 else (Side.SELL, 5_000 + 100 * (number - 10))
        quote = NewOrder(strategy="maker", instrument=MARKET, side=side, price=Price(price), size=Size(100))
        approved = Approved(
            intent=quote, venue="kalshi", client_order_id=f"q{number}", request_kind=RequestKind.NEW, ts_ns=1
        )
        core.kernel.dependencies.accounts.apply(approved, 1)
    core.tick()
    intent = NewOrder(strategy="quoter", instrument=MARKET, side=Side.BUY, price=Price(4_700), size=Size(100))
    limits = {"max_open_orders": MaxOpenOrders(max_total=100)}
    checks = tuple((name, limits.get(name, check)) for name, check in checks)
    now, before = (
        Gate(asked, next_client_order_id=lambda: "b")
        for asked in (checks, [(name, check) for name, check in checks if name not in NEW_CHECKS])
    )
    for gate in (now, before):
        assert isinstance(gate.judge(intent, view), Approved), gate.judge(intent, view)
    compare(
        "judge an order by all checks",
        lambda: now.judge(intent, view),
        lambda: before.judge(intent, view),
        calls=5_000,
        against=f"without {', '.join(NEW_CHECKS)}",
    )
    for number in range(20):
        report = OrderReport(venue="kalshi", client_order_id=f"q{number}", kind=ReportKind.NOT_SENT, ts_recv=1)
        core.kernel.publish(report)


def run() -> None:
    """Print the figures."""
    decoder = FrameDecoder(DecodeCounts())
    compare(
        "decode a book delta",
        lambda: decoder.decode(FRAME),
        lambda: json.loads(FRAME),
        calls=5_000,
        against="json.loads",
    )
    book = Book(MARKET)
    book.apply_snapshot(BookSnapshot(MARKET, 1, 1, ((Price(4_600), Size(500)),), ((Price(4_900), Size(500)),)), 1)
    deltas = cycle(BookDelta(MARKET, 1, 1, Side.BUY, Price(4_600), Size(change)) for change in (100, -100))
    levels: dict[int, int] = {4_600: 500}

    def plain_update() -> None:
        levels[4_600] = levels.get(4_600, 0) + 1

    compare(
        "update a book", lambda: book.apply_delta(next(deltas), 2), plain_update, calls=20_000, against="a dict update"
    )
    budget = VenueBudget(LIMITS, monotonic_ns=0)
    budget.advance(10**12)
    compare(
        "ask the rate budget",
        lambda: budget.wait_ns(RequestKind.NEW, "quoter"),
        lambda: hashlib.sha256(b"x").digest(),
        calls=20_000,
        against="one SHA-256",
    )
    accounts = Accounts()
    accounts.apply(new(), 1)
    ledger, sent = SendLedger(accounts.orders), replace(report(ReportKind.SENT), detail="d" * 64)
    signed, view = Signed(new(), b"", "d" * 64), View(books=Books(), accounts=accounts, budgets={})

    def account_for() -> None:
        ledger.follow(sent, view)
        assert ledger.why_not(signed) is None

    compare(
        "account for one send (C11)",
        account_for,
        lambda: hashlib.sha256(b"x").digest(),
        calls=20_000,
        against="one SHA-256",
    )
    with tempfile.TemporaryDirectory() as folder:
        core = Core(Path(folder), Durability.PROCESS_CRASH)
        try:
            compare(
                "tick through the kernel to a strategy",
                core.tick,
                lambda: json.loads(FRAME),
                calls=5_000,
                against="json.loads of the frame",
            )
            compare_gates(core)
            compare(
                "tick to an approved, recorded, queued order, and its rejection",
                core.order,
                lambda: json.loads(FRAME),
                calls=2_000,
                against="json.loads of the frame",
            )
        finally:
            core.close()
