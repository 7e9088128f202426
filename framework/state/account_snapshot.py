"""The folded state written down: canonical for the digest, complete for a snapshot."""

from __future__ import annotations

import msgspec

from framework.domain.account_events import BalanceReport, Fill, PositionReport
from framework.domain.errors import JournalError
from framework.domain.instruments import Instrument
from framework.domain.orders import Order
from framework.state.fills import FillKey, FillsImage
from framework.state.order_evidence import Evidence
from framework.state.orders import OrdersImage
from framework.state.positions import PositionsImage
from framework.state.trading_states import TradingStatesImage
from framework.state.unmatched import Parked, VenueKey

FORMAT_VERSION = 1


class AccountsImage(msgspec.Struct, array_like=True):
    """Every part, in canonical order."""

    orders: OrdersImage
    fills: FillsImage
    parked: list[tuple[VenueKey, Parked]]
    positions: PositionsImage
    trading: TradingStatesImage
    instruments: list[Instrument]
    venue_positions: list[PositionReport]
    balances: list[BalanceReport]
    memories: list[tuple[str, bytes]]

    def canonical(self) -> bytes:
        """The bytes of what is known, without when and through which source it was heard."""
        orders = [(_undated_order(known.order), _undated_proofs(known.proofs)) for known in self.orders.known]
        fills = [
            (_undated_fill(one.fill), one.client_order_id, one.strategy, one.is_voided) for one in self.fills.fills
        ]
        rest = (self.fills.voids, self.parked, self.positions, self.trading, self.instruments)
        venues = (self.venue_positions, self.balances, self.memories)
        return _CANONICAL.encode((orders, fills, *rest, *venues))


class Queues(msgspec.Struct, array_like=True):
    """In which order fills and parked facts came: the oldest are forgotten first."""

    fills: list[FillKey]
    parked: list[VenueKey]


class Snapshot(msgspec.Struct, array_like=True, kw_only=True):
    """The whole state as a snapshot file holds it."""

    version: int = FORMAT_VERSION
    image: AccountsImage
    queues: Queues


_CANONICAL = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as bytes."""
    return _CANONICAL.encode(snapshot)


def decode_snapshot(payload: bytes) -> Snapshot:
    """Read a snapshot. Raises `JournalError` when the bytes are not one of this version."""
    try:
        snapshot = _DECODER.decode(payload)
    except msgspec.MsgspecError as e:
        raise JournalError(f"snapshot of {len(payload)} bytes can't be read ({e}); start from the journal") from e
    if snapshot.version != FORMAT_VERSION:
        raise JournalError(
            f"snapshot: version {snapshot.version} is not {FORMAT_VERSION}; "
            "start from the journal, or with the release that wrote it"
        )
    return snapshot


def _undated_order(order: Order) -> Order:
    return msgspec.structs.replace(order, updated_ns=0)


def _undated_proofs(proofs: Evidence) -> Evidence:
    return msgspec.structs.replace(proofs, amend_since_ns=0)


def _undated_fill(fill: Fill) -> Fill:
    return msgspec.structs.replace(fill, ts_recv=0, client_order_id="", venue_order_id="")
