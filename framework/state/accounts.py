"""Everything that concerns orders and money: a fold of the journal's records.

`Accounts.apply` is the only way in, for records as they happen and for records read back at a start: the same records
give the same state (I22), and `digest` shows it. No clock is read here, and no I/O is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from framework.domain.account_events import (
    AccountEvent,
    BalanceReport,
    CashFlow,
    ControlSaved,
    ExternalOrderIgnored,
    Fill,
    FillVoided,
    FundMoveReported,
    InstrumentDefined,
    InstrumentPurged,
    InstrumentSettled,
    InstrumentStatusChanged,
    LimitChanged,
    OrderAdopted,
    OrderReport,
    OrderSnapshot,
    PositionReport,
    ShutdownRequested,
    StrategyQuarantined,
    StrategySaved,
    TradingStateChanged,
)
from framework.domain.errors import JournalError
from framework.domain.instruments import Instrument, InstrumentId, InstrumentStatus
from framework.domain.numbers import Price, Size
from framework.domain.orders import Order, Side
from framework.domain.verdicts import Approved, Refused
from framework.domain.views import StrategyExposure
from framework.state.account_snapshot import (
    CANONICAL_VERSION,
    AccountsSnapshot,
    Queues,
    StateSnapshot,
    decode_snapshot,
    encode_snapshot,
)
from framework.state.account_updates import AccountUpdates
from framework.state.baselines import Baselines
from framework.state.cash_flows import CashFlows
from framework.state.change import NO_CHANGE, Change, Draft
from framework.state.exposure import Exposure, Exposures
from framework.state.fills import Fills
from framework.state.funds import FundsTaken, Taken
from framework.state.orders.index import Orders
from framework.state.orders.machine import OrderMachine
from framework.state.orders.unmatched import UnmatchedReports
from framework.state.positions import Positions
from framework.state.purged import PurgedInstrument, PurgedInstruments
from framework.state.trading_states import TradingStates

_UNCOUNTED_MAX = 256
AccountRecord = Approved | Refused | AccountEvent
"""What the journal holds of orders, money and operators."""


class Accounts:
    """Orders, fills, positions, trading states, instruments, and what the venues say of themselves.

    Anyone may read the parts; only `apply` writes them.
    """

    def __init__(self) -> None:
        self.exposures = Exposures()
        self.orders = Orders(self.exposures)
        self.fills = Fills()
        self.unmatched = UnmatchedReports(self.exposures)
        self.positions = Positions()
        self.trading = TradingStates()
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.venue_positions: dict[InstrumentId, PositionReport] = {}
        self.balances: dict[tuple[str, str], BalanceReport] = {}
        self.saved_states: dict[str, bytes] = {}
        self.fund_moves: dict[str, FundMoveReported] = {}
        """The moves of funds of which it is not known what became of them, by reference."""
        self.control_states: dict[str, bytes] = {}
        self.limits: dict[tuple[str, str], LimitChanged] = {}
        """The settings of checks that were changed while it ran, by check and key; those taken back are left out."""
        self.purged = PurgedInstruments()
        self.cash_flows = CashFlows()
        self.baselines = Baselines(self.instruments, self.positions, self.cash_flows)
        self._funds = FundsTaken(self.instruments)
        self._uncounted: dict[str, Order] = {}
        self._wire()

    def apply(self, record: AccountRecord, now_ns: int) -> Change:
        """Apply one record at the kernel's wall time `now_ns` (nanoseconds) and return what it changed.

        It never fails: what contradicts the state is an alarm in the `Change`. Refusals change nothing here.
        """
        handler = self._handlers.get(type(record))
        if handler is None:
            return NO_CHANGE
        draft = Draft()
        handler(record, now_ns, draft)
        orders = tuple(draft.orders.values())
        # Counted when it is asked for: the way of an order to its approval is short.
        self._uncounted |= draft.orders
        if len(self._uncounted) > _UNCOUNTED_MAX:
            self._count_funds()
        if not (draft.fills or draft.unattributed or draft.alarms or draft.payouts or draft.flows):
            return Change(orders)  # as of most records; nothing halts without an alarm
        return Change(
            orders=orders,
            fills=tuple(draft.fills),
            unattributed=tuple(draft.unattributed),
            alarms=tuple(draft.alarms),
            halts=tuple(draft.halts),
            payouts=tuple(draft.payouts),
            flows=tuple(draft.flows),
        )

    def begin_epoch(self) -> None:
        """End the last run's shutdown, as a new run begins. Its record is the run's first one."""
        self.trading.begin_epoch()

    @property
    def settlements(self) -> dict[InstrumentId, Price]:
        """What each settled instrument paid per contract, scaled by its price_decimals."""
        return self.positions.settled

    def purgeable(self) -> list[InstrumentId]:
        """The instruments that may leave (`InstrumentPurged`): settled, with nothing held or open, and not stopped."""
        return [one for one in self.positions.settled if self._may_leave(one)]

    def exposure(self, instrument: InstrumentId) -> Exposure:
        """The whole account's exposure in an instrument; an empty one when there is none."""
        return self.exposures.account(instrument)

    def strategy_exposure(self, strategy: str, instrument: InstrumentId) -> Exposure:
        """One strategy's exposure in an instrument; an empty one when there is none."""
        return self.exposures.of_strategy(strategy, instrument)

    def desk_exposure(self, strategy: str, instrument: InstrumentId) -> StrategyExposure:
        """One strategy's exposure as it sees it: with the part that does not rest at the venue for certain."""
        whole, resting = self.exposures.of_strategy(strategy, instrument), {Side.BUY: 0, Side.SELL: 0}
        for order in self.orders.open(strategy=strategy, instrument=instrument):
            if order.status.is_at_venue:
                resting[order.side] += order.remaining
        return StrategyExposure(
            position=whole.position,
            open_buy=whole.open_buy,
            open_sell=whole.open_sell,
            in_flight_buy=Size(whole.open_buy - resting[Side.BUY]),
            in_flight_sell=Size(whole.open_sell - resting[Side.SELL]),
        )

    def funds_taken(self, venue: str, currency: str, /) -> Taken:
        """What own orders have taken of a currency since the venue's last report of it (`FundsTaken.since_report`)."""
        self._count_funds()
        return self._funds.since_report(venue, currency)

    def external_orders(self, venue: str, *, ignored: bool = False) -> tuple[OrderSnapshot, ...]:
        """Orders open at the venue, as far as listed, that are not ours; or those of them to be ignored."""
        return self.unmatched.external_orders(venue, ignored=ignored)

    def has_external_orders(self, venue: str, instrument: InstrumentId) -> bool:
        """Whether orders that are not ours are listed as open there, in the instrument if one is given; those that are
        to be ignored are, too."""
        found = (*self.external_orders(venue), *self.external_orders(venue, ignored=True))
        return any(instrument in ("", one.instrument) for one in found)

    def digest(self, version: int = CANONICAL_VERSION) -> str:
        """SHA-256 over the whole folded state, whatever the order in which it was built up, in this version of the
        canonical form. Raises `ValueError` for one that is not known.

        Left out is only when something was received (`updated_ns`, receipt times of fills): it differs between two
        reports of the same fact.
        """
        return hashlib.sha256(self._snapshot().canonical(version)).hexdigest()

    def to_snapshot(self) -> bytes:
        """The whole state as bytes, of which `from_snapshot` makes an `Accounts` that goes on just like this one."""
        queues = Queues(fills=self.fills.keys(), unmatched=self.unmatched.keys())
        return encode_snapshot(StateSnapshot(accounts=self._snapshot(), queues=queues))

    @classmethod
    def from_snapshot(cls, payload: bytes) -> Accounts:
        """The state that `payload` was taken of. Raises `JournalError` when it can't be read."""
        decoded = decode_snapshot(payload)
        snapshot, queues = decoded.accounts, decoded.queues
        accounts = cls()
        try:
            accounts.fills = Fills.from_snapshot(snapshot.fills, queues.fills)
            accounts.unmatched = UnmatchedReports.from_snapshot(
                snapshot.unmatched, queues.unmatched, accounts.exposures
            )
            accounts.positions = Positions.from_snapshot(snapshot.positions)
            accounts.orders.restore(snapshot.orders)
        except KeyError as e:
            raise JournalError(f"snapshot: its queues name {e}, which it does not hold; start from the journal") from e
        accounts.trading = TradingStates.from_snapshot(snapshot.trading)
        accounts.instruments = {one.id: one for one in snapshot.instruments}
        accounts.venue_positions = {one.instrument: one for one in snapshot.venue_positions}
        accounts.balances = {(one.venue, one.currency): one for one in snapshot.balances}
        accounts.fund_moves = {one.reference: one for one in snapshot.fund_moves}
        accounts.saved_states, accounts.control_states = dict(snapshot.saved_states), dict(snapshot.control_states)
        accounts.limits = {(one.check, one.key): one for one in snapshot.limits}
        accounts.purged = PurgedInstruments.from_snapshot(snapshot.purged)
        accounts.cash_flows = CashFlows.from_snapshot(snapshot.cash_flows)
        money = {one.id: one.money_decimals for one in accounts.instruments.values()}
        accounts.baselines = Baselines(
            accounts.instruments, accounts.positions, accounts.cash_flows, snapshot.baselines
        )
        accounts.cash_flows.show(accounts.positions, money)
        for instrument, position in accounts.positions.accounts():
            accounts.exposures.set_account_position(instrument, position.size)
        for (strategy, instrument), position in accounts.positions.strategies():
            accounts.exposures.set_strategy_position(strategy, instrument, position.size)
        # What the last reports hold is not written down: what changed shortly before them counts once more.
        accounts._funds = FundsTaken(accounts.instruments, accounts.balances)
        for order in (*accounts.orders.ended(), *accounts.orders.open()):
            accounts._funds.count(order)
        for report in accounts.balances.values():
            accounts._funds.settle(report)
        accounts._wire()
        return accounts

    def _wire(self) -> None:
        machine = OrderMachine(self.orders)
        updates = AccountUpdates(
            machine,
            self.orders,
            self.fills,
            unmatched=self.unmatched,
            positions=self.positions,
            exposures=self.exposures,
            instruments=self.instruments,
            recall=self._recall,
        )
        self._updates = updates
        self._handlers: dict[type, Callable[[Any, int, Draft], None]] = {
            Approved: machine.approve,
            OrderReport: updates.report,
            OrderSnapshot: updates.snapshot,
            OrderAdopted: updates.adopt,
            Fill: updates.fill,
            FillVoided: updates.void,
            InstrumentDefined: self._define,
            InstrumentStatusChanged: self._set_status,
            InstrumentSettled: self._settle,
            PositionReport: self._set_venue_position,
            BalanceReport: self._set_balance,
            TradingStateChanged: self._set_trading,
            StrategyQuarantined: self._set_trading,
            ShutdownRequested: self._set_trading,
            ExternalOrderIgnored: self._ignore,
            StrategySaved: self._save_state,
            InstrumentPurged: self._purge,
            CashFlow: self._flow,
            FundMoveReported: self._note_fund_move,
            LimitChanged: self._set_limit,
            ControlSaved: self._save_control,
        }

    def _define(self, event: InstrumentDefined, now_ns: int, draft: Draft) -> None:
        self._recall(event.instrument.id)
        self.instruments[event.instrument.id] = event.instrument

    def _set_status(self, event: InstrumentStatusChanged, now_ns: int, draft: Draft) -> None:
        instrument = self.instruments.get(event.instrument)
        if instrument is not None:
            close_ns = event.close_ns or instrument.close_ns
            changed = msgspec.structs.replace(instrument, status=event.status, close_ns=close_ns)
            self.instruments[event.instrument] = changed

    def _settle(self, event: InstrumentSettled, now_ns: int, draft: Draft) -> None:
        self._recall(event.instrument)
        instrument = self.instruments.get(event.instrument)
        if instrument is not None:
            settled = msgspec.structs.replace(instrument, status=InstrumentStatus.SETTLED)
            self.instruments[event.instrument] = settled
        self._updates.settle(event, draft)

    def _set_venue_position(self, event: PositionReport, now_ns: int, draft: Draft) -> None:
        if event.instrument in self.purged:
            return
        before = self.venue_positions.get(event.instrument)
        if before is None or (before.ts_venue, before.ts_recv) <= (event.ts_venue, event.ts_recv):
            self.venue_positions[event.instrument] = event

    def _count_funds(self) -> None:
        for order in self._uncounted.values():
            self._funds.count(order)
        self._uncounted.clear()

    def _set_balance(self, event: BalanceReport, now_ns: int, draft: Draft) -> None:
        before = self.balances.get((event.venue, event.currency))
        if before is None or before.ts_recv <= event.ts_recv:
            self.balances[event.venue, event.currency] = event
            self._count_funds()
            self._funds.settle(event)
        self.baselines.note(event)

    def _flow(self, event: CashFlow, now_ns: int, draft: Draft) -> None:
        instrument = self.instruments.get(event.instrument)
        if self.cash_flows.apply(event, self.positions, None if instrument is None else instrument.money_decimals):
            draft.flows.append(event)

    def _recall(self, instrument: InstrumentId, draft: Draft | None = None) -> None:
        """Bring an instrument back that has left, when something of it comes all the same."""
        if (kept := self.purged.take(instrument)) is None:
            return
        self.instruments[instrument] = kept.instrument
        self.positions.settled[instrument] = kept.value
        if draft is not None:
            draft.alarm(f"{instrument} had settled and left; now a fill of it came, was taken back, or got an owner")

    def _purge(self, event: InstrumentPurged, now_ns: int, draft: Draft) -> None:
        if not self._may_leave(event.instrument):
            return
        terms, value = self.instruments.pop(event.instrument), self.positions.settled[event.instrument]
        self.purged.put(PurgedInstrument(terms, value), self.positions.purge(event.instrument))
        self.cash_flows.forget(event.instrument)
        self.exposures.purge(event.instrument)
        self.trading.forget(event.instrument)
        self.venue_positions.pop(event.instrument, None)

    def _may_leave(self, instrument: InstrumentId) -> bool:
        is_over = instrument in self.positions.settled and instrument in self.instruments
        is_idle = is_over and self.exposures.account(instrument) == Exposure()
        return is_idle and not self.trading.is_limited(instrument)

    def _set_trading(
        self, event: TradingStateChanged | StrategyQuarantined | ShutdownRequested, now_ns: int, draft: Draft
    ) -> None:
        self.trading.apply(event)

    def _save_state(self, event: StrategySaved, now_ns: int, draft: Draft) -> None:
        self.saved_states[event.strategy] = event.state

    def _save_control(self, event: ControlSaved, now_ns: int, draft: Draft) -> None:
        self.control_states[event.key] = event.state

    def _note_fund_move(self, event: FundMoveReported, now_ns: int, draft: Draft) -> None:
        self.fund_moves.pop(event.reference, None)
        if event.is_open:
            self.fund_moves[event.reference] = event

    def _set_limit(self, event: LimitChanged, now_ns: int, draft: Draft) -> None:
        self.limits.pop((event.check, event.key), None)
        if event.value:
            self.limits[event.check, event.key] = event

    def _ignore(self, event: ExternalOrderIgnored, now_ns: int, draft: Draft) -> None:
        self.unmatched.ignore(event)

    def _snapshot(self) -> AccountsSnapshot:
        return AccountsSnapshot(
            orders=self.orders.snapshot(),
            fills=self.fills.snapshot(),
            unmatched=self.unmatched.snapshot(),
            positions=self.positions.snapshot(),
            trading=self.trading.snapshot(),
            instruments=[one for _, one in sorted(self.instruments.items())],
            venue_positions=[one for _, one in sorted(self.venue_positions.items(), key=lambda item: item[0])],
            balances=[one for _, one in sorted(self.balances.items(), key=lambda item: item[0])],
            saved_states=sorted(self.saved_states.items()),
            purged=self.purged.snapshot(),
            cash_flows=self.cash_flows.snapshot(),
            baselines=self.baselines.snapshot(),
            fund_moves=list(self.fund_moves.values()),
            limits=list(self.limits.values()),
            control_states=sorted(self.control_states.items()),
        )
