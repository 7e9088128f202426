"""What the program reads of its own: records of the journal, events of the tape, snapshots, an operator's requests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from framework.domain.account_events import BalanceReport, InstrumentDefined, ReportKind, Scope
from framework.domain.errors import JournalError
from framework.domain.market_events import BookDelta, Heartbeat
from framework.domain.numbers import Price, Size
from framework.domain.operator_requests import Request
from framework.domain.orders import Side
from framework.domain.plausibility import UNREADABLE
from framework.ops.alerts.alert import Alert, AlertKind, Notice, NoticeStatus
from framework.ops.alerts.alert_file import AlertFile, AlertsKept
from framework.ops.alerts.messages import alert_message, text_of
from framework.persistence.journal.records import Checkpoint, Record, decode_record, encode_record
from framework.persistence.tape import TapeError, read_tape
from framework.runtime.state_directory import ALERTS_NAME
from framework.state.accounts import Accounts
from tests.proofs.fuzz.target import Target
from tests.support.crash_files import CrashFiles
from tests.support.state_records import INSTRUMENT, MARKET, VENUE, fill, listed, new, report

_BODIES = (
    InstrumentDefined(INSTRUMENT, 1),
    new("c1"),
    report(ReportKind.SENT, "c1"),
    fill("f1"),
    listed("", venue_order_id="v9", size=5, filled=2),
    BalanceReport(venue=VENUE, currency="USD", amount=5, decimals=2, ts_recv=1),
    Checkpoint("x" * 64, 2),
)
_RECORDS = [encode_record(Record(1, 2, 3, body)) for body in _BODIES]
_TAPE = [
    msgspec.msgpack.encode([1, 2, 3, one])
    for one in (
        BookDelta(MARKET, 1, 2, Side.BUY, Price(5_000), Size(100)),
        Heartbeat(VENUE, 1, 2),
    )
]
_MAGIC = b"TIDETAPE\x01" + bytes(7)
_REQUEST = msgspec.json.Decoder(Request)
_REQUESTS = [
    b'{"command":"set_trading_state","scope":"global","state":"halted","reason":"x","target":"","is_cancelling":true}',
    b'{"command":"cancel_orders","reason":"x","order":"tg-1","strategy":"","is_all":false}',
    b'{"command":"reconcile","is_dry_run":true}',
]


def _record(data: bytes) -> Sequence[object]:
    return [type(decode_record(1, data).record.body).__name__]


def _snapshot(data: bytes) -> Sequence[object]:
    return [Accounts.from_snapshot(data).digest()]


def _tape(data: bytes) -> Sequence[object]:
    """What a reader makes of a tape of one whole frame with these bytes, as another version of the program leaves
    it."""
    files, directory = CrashFiles(), Path("/tape")
    files.make_directory(directory)
    handle = files.open_append(directory / "tape-00000000000000000001.seg")
    handle.write(_MAGIC + struct.pack("<II", len(data), zlib.crc32(data)) + data)
    return [type(one.event).__name__ for one in read_tape(files, directory)]


def _alerts(data: bytes) -> Sequence[object]:
    """What a start makes of a file of alerts, and what an output would say of it."""
    files = CrashFiles()
    files.make_directory(Path("/state"))
    handle = files.open_append(Path("/state") / ALERTS_NAME)
    handle.write(data)
    kept, trouble = AlertFile(files, Path("/state")).read()
    said = [text_of(alert_message(Notice(NoticeStatus.FIRING, alert), daemon="x")) for alert in kept]
    return [*said, bool(trouble)]


def _alerts_kept() -> bytes:
    alert = Alert(
        kind=AlertKind.VENUE_DOWN, scope=Scope.VENUE, target=VENUE, text="down", since_ns=9, sent=2, sent_ns=9,
        acknowledged_by="ann", acknowledged_ns=9, reason="seen",
    )  # fmt: skip
    return msgspec.json.encode(AlertsKept((alert, alert)))


def _snapshots() -> list[bytes]:
    accounts = Accounts()
    for body in _BODIES:
        if not isinstance(body, Checkpoint):
            accounts.apply(body, 1)
    return [accounts.to_snapshot(), Accounts().to_snapshot()]


TARGETS = (
    Target("journal records", _RECORDS, lambda: _record, (JournalError,)),
    Target("snapshots", _snapshots(), lambda: _snapshot, (JournalError,)),
    Target("alerts", [_alerts_kept()], lambda: _alerts, ()),
    Target("tape", _TAPE, lambda: _tape, (TapeError,)),
    Target(
        "operator's requests",
        _REQUESTS,
        lambda: lambda data: [type(_REQUEST.decode(data)).__name__],
        UNREADABLE,
    ),
)
