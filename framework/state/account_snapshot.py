"""The state as bytes, in two forms: canonical for the digest, and complete for a snapshot file.

The digest must be the same for everybody who folds the same records (I22). A snapshot must give back a state that goes
on exactly like the one it was taken of, so it also holds the order in which things came. Fields of an `array_like`
struct are a written format: a new one comes last and has a default.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from framework.domain.account_events import BalanceReport, PositionReport
from framework.domain.errors import JournalError
from framework.domain.instruments import Instrument
from framework.state.fills import FillKey, FillsSnapshot
from framework.state.order_evidence import status_of
from framework.state.orders import OrdersSnapshot
from framework.state.positions import PositionsSnapshot
from framework.state.purged import PurgedSnapshot
from framework.state.trading_states import TradingStatesSnapshot
from framework.state.unmatched import UnmatchedOrder, VenueKey

SNAPSHOT_VERSION = 1
"""The version of the state in a snapshot; another one is refused."""


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

    def canonical(self) -> bytes:
        """The bytes of what is known, for the digest: without the times and order ids that differ between two reports
        of the same fact, as by stream and by look-up. An order's status is what its evidence amounts to: whether an end
        was shown before the fills that the venue states depends on the sequence in which they came."""
        orders = [
            (
                replace(one.order, updated_ns=0, status=status_of(one.order, one.evidence)),
                one.evidence.canonical(),
            )
            for one in self.orders.known
        ]
        undated = [replace(one.fill, ts_recv=0, client_order_id="", venue_order_id="") for one in self.fills.fills]
        fills = [
            (fill, one.client_order_id, one.strategy, one.is_voided)
            for fill, one in zip(undated, self.fills.fills, strict=True)
        ]
        rest = (self.fills.voids, self.unmatched, self.positions, self.trading.canonical(), self.instruments)
        venues = (self.venue_positions, self.balances, self.saved_states)
        if self.purged is not None:
            # Left out of the digest while there is none: checkpoints of before still agree.
            rest = (*rest, self.purged)  # type: ignore[assignment]
        return _CANONICAL.encode((orders, fills, *rest, *venues))


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


def encode_snapshot(snapshot: StateSnapshot) -> bytes:
    """The bytes of a snapshot: MessagePack, the same for the same state."""
    return _CANONICAL.encode(snapshot)


def decode_snapshot(payload: bytes) -> StateSnapshot:
    """The snapshot that the bytes hold. Raises `JournalError` when they are not a snapshot of this version."""
    try:
        snapshot = _DECODER.decode(payload)
    except msgspec.MsgspecError as e:
        raise JournalError(f"snapshot of {len(payload)} bytes can't be read ({e}); start from the journal") from e
    if snapshot.version != SNAPSHOT_VERSION:
        raise JournalError(
            f"snapshot: version {snapshot.version} is not {SNAPSHOT_VERSION}; "
            "start from the journal, or with the release that wrote it"
        )
    return snapshot
