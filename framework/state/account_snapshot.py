"""The state as bytes, in two forms: canonical for the digest, and complete for a snapshot file.

The digest must be the same for everybody who folds the same records (I22), also for records of earlier versions of the
program: a checkpoint says in which version of the canonical form its digest was computed. A snapshot must give back a
state that goes on exactly like the one it was taken of, so it also holds the order in which things came. Fields of an
`array_like` struct are a written format: a new one comes last and has a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import defstruct
from msgspec.structs import replace

from framework.domain.account_events import (
    BalanceReport,
    Fill,
    FundMoveReported,
    LimitChanged,
    OrderSnapshot,
    PositionReport,
)
from framework.domain.errors import JournalError
from framework.domain.instruments import Instrument
from framework.domain.numbers import as_recorded
from framework.domain.orders import Order
from framework.domain.plausibility import UNREADABLE
from framework.state.baselines import Baseline
from framework.state.cash_flows import CashFlowsSnapshot
from framework.state.fills import FillKey, FillsSnapshot
from framework.state.orders.evidence import status_of
from framework.state.orders.index import OrdersSnapshot
from framework.state.orders.unmatched import UnmatchedOrder, VenueKey
from framework.state.positions import PositionSnapshot, PositionsSnapshot, Trade
from framework.state.purged import PurgedSnapshot, PurgedSum
from framework.state.trading_states import TradingStatesSnapshot

SNAPSHOT_VERSION = 1
"""The version of the state in a snapshot; another one is refused. Fields that are added at the end with defaults are
the same version: snapshots of before are read."""

CANONICAL_VERSION = 3
"""The version of the canonical form in which new digests are computed. Raise it with every field that a part of the
state gets, and say in `_FIELDS` how many the version before had."""

_FIELDS: dict[int, dict[type[msgspec.Struct], int]] = {
    1: {
        Order: 21,
        Fill: 12,
        OrderSnapshot: 13,
        Instrument: 17,
        PositionReport: 5,
        BalanceReport: 5,
        Trade: 5,
        PurgedSum: 6,
    },
    2: {Instrument: 22},
}
"""For each earlier version: how many fields its structs had. Those that came later were not known then."""


class AccountsSnapshot(msgspec.Struct, array_like=True):
    """Every part of the state, each list in canonical order, so that the same state gives the same bytes."""

    orders: OrdersSnapshot
    fills: FillsSnapshot
    unmatched: list[tuple[VenueKey, UnmatchedOrder]]
    positions: PositionsSnapshot
    trading: TradingStatesSnapshot
    instruments: list[Instrument]
    venue_positions: list[PositionReport]
    balances: list[BalanceReport]
    saved_states: list[tuple[str, bytes]]
    purged: PurgedSnapshot | None = None
    cash_flows: CashFlowsSnapshot | None = None
    baselines: list[Baseline] = []
    fund_moves: list[FundMoveReported] = []
    limits: list[LimitChanged] = []
    control_states: list[tuple[str, bytes]] = []

    def canonical(self, version: int = CANONICAL_VERSION) -> bytes:
        """The bytes of what is known, for the digest: without the times and order ids that differ between two reports
        of the same fact, as by stream and by look-up. An order's status is what its evidence amounts to: whether an end
        was shown before the fills that the venue states depends on the sequence in which they came. What was sent,
        what a balance was at first, which moves of funds are open, which limits were changed and what checks keep are
        left out: snapshots of before do not hold them.

        In an earlier `version` it is what that version of the program computed of the same records. Raises `ValueError`
        for a version that is not known.
        """
        if version not in range(1, CANONICAL_VERSION + 1):
            raise ValueError(
                f"canonical form: version {version} is not known; a later release wrote it: start that one"
            )
        return _encode(self._versioned(version))

    def _versioned(self, version: int) -> tuple[object, ...]:
        older = _Older(version)
        orders = [
            (
                older.cut(replace(one.order, updated_ns=0, sent_as="", status=status_of(one.order, one.evidence))),
                one.evidence.canonical(version),
            )
            for one in self.orders.known
        ]
        undated = [replace(one.fill, ts_recv=0, client_order_id="", venue_order_id="") for one in self.fills.fills]
        fills = [
            (older.cut(fill), one.client_order_id, one.strategy, one.is_voided)
            for fill, one in zip(undated, self.fills.fills, strict=True)
        ]
        unmatched = [(key, older.cut_unmatched(one)) for key, one in self.unmatched]
        rest = (
            self.fills.voids,
            unmatched,
            older.cut_positions(self.positions),
            self.trading.canonical(),
            older.cut_all(self.instruments),
        )
        venues = (older.cut_all(self.venue_positions), older.cut_all(self.balances), self.saved_states)
        if version == 1:
            # It left the purged instruments out while there were none, and knew no cash flows.
            purged = () if self.purged is None else (older.cut_purged(self.purged),)
            return (orders, fills, *rest, *purged, *venues)
        return (orders, fills, *rest, _without_nothing(self.purged), *venues, self.cash_flows)


class _Older:
    """Writes structs with the fields that they had in an earlier version; without one, as they are."""

    def __init__(self, version: int) -> None:
        self._kinds = {kind: _with_first(kind, count) for kind, count in _FIELDS.get(version, {}).items()}

    def cut(self, struct: Any) -> Any:
        if (kind := self._kinds.get(type(struct))) is None:
            return struct
        return kind(*[getattr(struct, field) for field in kind.__struct_fields__])

    def cut_all(self, structs: Iterable[Any]) -> list[Any]:
        return [self.cut(one) for one in structs]

    def cut_unmatched(self, order: UnmatchedOrder) -> UnmatchedOrder:
        snapshots = self.cut(order.open_snapshot), self.cut(order.ended_snapshot)
        return UnmatchedOrder(self.cut_all(order.fills), order.reports, *snapshots, order.ignored_for)

    def cut_positions(self, positions: PositionsSnapshot) -> PositionsSnapshot:
        return PositionsSnapshot(
            account=[(of, self._cut_position(one)) for of, one in positions.account],
            strategies=[(name, of, self._cut_position(one)) for name, of, one in positions.strategies],
            settled=positions.settled,
        )

    def _cut_position(self, position: PositionSnapshot) -> PositionSnapshot:
        before, trades, settled_at = position
        return before, self.cut_all(trades), settled_at

    def cut_purged(self, purged: PurgedSnapshot | None) -> PurgedSnapshot | None:
        if purged is None:
            return None
        remembered = [replace(one, instrument=self.cut(one.instrument)) for one in purged.remembered]
        return PurgedSnapshot(self.cut_all(purged.sums), remembered)


def _without_nothing(purged: PurgedSnapshot | None) -> PurgedSnapshot | None:
    """What has left, without sums that are nothing: a snapshot leaves out the positions that they are of, as after a
    fill that was taken back, or whose order went to another strategy."""
    if purged is None:
        return None
    sums = [one for one in purged.sums if one.realised or one.fees or one.funding]
    return PurgedSnapshot(sums, purged.remembered) if sums or purged.remembered else None


def _with_first(kind: type[msgspec.Struct], count: int) -> type[msgspec.Struct]:
    """A struct that is written like `kind`, with its first `count` fields only."""
    config = kind.__struct_config__
    return defstruct(kind.__name__, kind.__struct_fields__[:count], tag=config.tag, array_like=config.array_like)


class Queues(msgspec.Struct, array_like=True):
    """The order in which fills and unmatched reports came: the oldest are forgotten first."""

    fills: list[FillKey]
    unmatched: list[VenueKey]


class StateSnapshot(msgspec.Struct, array_like=True, kw_only=True):
    """The whole state as the bytes of a snapshot file hold it."""

    version: int = SNAPSHOT_VERSION
    accounts: AccountsSnapshot
    queues: Queues


_CANONICAL = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(StateSnapshot)
_WIDE_DECODER = msgspec.msgpack.Decoder(StateSnapshot, strict=False)
"""Reads integers from text, too."""


def encode_snapshot(snapshot: StateSnapshot) -> bytes:
    """The bytes of a snapshot: MessagePack, the same for the same state. Integers over 64 bits are text."""
    return _encode(snapshot)


def _encode(value: Any) -> bytes:
    try:
        return _CANONICAL.encode(value)
    except OverflowError:
        return _CANONICAL.encode(_writable(msgspec.to_builtins(value, builtin_types=(bytes,))))


def _writable(value: Any) -> Any:
    """A value as MessagePack can hold it. What a venue reports has 64 bits; a sum over reports, or a product, may pass
    them, and must not stop the records."""
    if isinstance(value, (list, tuple)):
        return [_writable(one) for one in value]
    if isinstance(value, dict):
        return {key: _writable(one) for key, one in value.items()}
    return as_recorded(value) if isinstance(value, int) else value


def decode_snapshot(payload: bytes) -> StateSnapshot:
    """The snapshot that the bytes hold. Raises `JournalError` when they are not a snapshot of this version."""
    try:
        snapshot = _decode(payload)
    except UNREADABLE as e:
        raise JournalError(f"snapshot of {len(payload)} bytes can't be read ({e}); start from the journal") from e
    if snapshot.version != SNAPSHOT_VERSION:
        raise JournalError(
            f"snapshot: version {snapshot.version} is not {SNAPSHOT_VERSION}; "
            "start from the journal, or with the release that wrote it"
        )
    return snapshot


def _decode(payload: bytes) -> StateSnapshot:
    try:
        return _DECODER.decode(payload)
    except msgspec.ValidationError:
        return _WIDE_DECODER.decode(payload)
