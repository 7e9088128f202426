"""The gate: every intent passes here, once, and only what it approves can be signed.

`Approved` is built in this file and nowhere else. Whatever is missing, wrong or broken means *refuse*; cancels are
never held back by a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from framework.domain.errors import message_of, raised_at
from framework.domain.instruments import Instrument, InstrumentId
from framework.domain.intents import AmendOrder, CancelAll, CancelOrder, Intent, NewOrder, only_shrinks
from framework.domain.orders import Order, OrderStatus
from framework.domain.ports import AnyCheck, Check, Monitor, StatefulCheck
from framework.domain.rate_limits import RequestKind
from framework.domain.verdicts import Approved, Refusal, RefusalCode, Refused
from framework.domain.views import Proposal, RiskView
from risk.intent_validation import find_flaw, find_unoffered, is_text
from risk.order_proposal import OrderProposal, propose_amend, propose_new, request_kind

_ERROR_TEXT_MAX = 256
_CHANGEABLE = frozenset({OrderStatus.WORKING, OrderStatus.PARTIALLY_FILLED})
_GATE = "gate"


class Gate:
    """Judges intents: first whether each is one, then whether its instrument or order exists and its venue offers it,
    then the checks in their order; the first refusal wins. What a venue offers does not change while it is up, so the
    second question (`reconsider`) leaves it out.

    `checks` are (name, check) in the order in which they are asked. `next_client_order_id` is called once per
    approved new order. `judge` is synchronous and changes nothing else.

    A check that remembers is begun here: `monitors` are those, by name, to be shown what they follow.

    A check whose answer follows from the market or from operators, not from our own requests, has a class attribute
    `asked_again`: `reconsider` asks it once more before the request leaves, `"always"` or `"when it grows"`.
    """

    __slots__ = ("_checks", "_checks_always", "_checks_growing", "_next_client_order_id", "monitors")

    def __init__(self, checks: Sequence[tuple[str, AnyCheck]], *, next_client_order_id: Callable[[], str]) -> None:
        self.monitors: dict[str, Monitor] = {}
        self._set([(name, self._begun(name, check)) for name, check in checks])
        self._next_client_order_id = next_client_order_id

    def replace(self, name: str, check: AnyCheck) -> None:
        """Ask this check in the place of the one of this name from now on, as when its settings have changed. One that
        remembers takes over what the one before knows."""
        try:
            begun = self._begun(name, check)
        except BaseException as e:  # noqa: BLE001 - fails closed: what can't be asked has not said yes
            self.monitors.pop(name, None)
            begun = _Unusable(_broken(e))
        self._set([(each, begun if each == name else before) for each, before in self._checks])

    def _begun(self, name: str, check: AnyCheck) -> Check:
        if not isinstance(check, StatefulCheck):
            return check
        self.monitors[name] = check.begin(self.monitors.get(name))
        return self.monitors[name]

    def _set(self, checks: Sequence[tuple[str, Check]]) -> None:
        self._checks = tuple(checks)
        asked_again = [(getattr(check, "asked_again", ""), check) for _, check in checks]
        self._checks_always = tuple(check for when, check in asked_again if when == "always")
        self._checks_growing = tuple(check for when, check in asked_again if when)

    def judge(self, intent: object, view: RiskView, /) -> Approved | Refused:
        """Say yes or no, with the numbers behind a no. Never raises: an exception inside is a no.

        A `Refused` with INVALID_INTENT carries an empty cancel in its place, so that the record of it can always
        be written and read; its detail says what was wrong. The caller sees to it that `intent.strategy` is the
        strategy that asked.
        """
        flaw = find_flaw(intent)
        if flaw:
            return _refuse(_stand_in(intent), Refusal(RefusalCode.INVALID_INTENT, why=flaw), _GATE, ts_ns=view.now_ns)
        intent = cast("Intent", intent)
        asked = _GATE
        try:
            if not isinstance(intent, (NewOrder, AmendOrder)):
                return _judge_cancel(intent, view)
            proposal = _propose(intent, view)
            if isinstance(proposal, Refusal):
                return _refuse(intent, proposal, asked, ts_ns=view.now_ns)
            for asked, check in self._checks:
                refusal = check.check(proposal, view)
                if refusal is not None:
                    return _refuse(intent, refusal, asked, ts_ns=view.now_ns)
            asked = _GATE
            order = proposal.order
            return Approved(
                intent=intent,
                venue=proposal.instrument.venue,
                client_order_id=self._next_client_order_id() if order is None else order.client_order_id,
                request_kind=request_kind(proposal),
                ts_ns=view.now_ns,
            )
        except BaseException as e:  # noqa: BLE001 - the gate fails closed: a check that breaks has not said yes
            return _refuse(intent, _broken(e), asked, ts_ns=view.now_ns)

    def reconsider(self, intent: NewOrder | AmendOrder, order: Order, view: RiskView, /) -> Refusal | None:
        """Why what was approved must not leave any more, by what may have changed since. `order` is the one that the
        intent makes or changes; its exposure counts already. Never raises: an exception inside is a no.

        An amend that only shrinks its order needs no connected venue and no fresh book.
        """
        try:
            instrument = view.instrument(order.instrument)
            if instrument is None:
                return Refusal(RefusalCode.UNKNOWN_INSTRUMENT, instrument=order.instrument)
            if isinstance(intent, NewOrder):
                return self._ask_again(propose_new(intent, instrument, view, is_counted=True), view)
            proposal = propose_amend(intent, order, instrument, view, is_counted=True)
            return self._ask_again(proposal, view, is_growing=not only_shrinks(intent, order))
        except BaseException as e:  # noqa: BLE001 - fails closed, like `judge`
            return _broken(e)

    def _ask_again(self, proposal: OrderProposal, view: RiskView, *, is_growing: bool = True) -> Refusal | None:
        if is_growing and not view.is_connected(proposal.instrument.venue):
            return Refusal(RefusalCode.VENUE_DOWN, venue=proposal.instrument.venue)
        checks = self._checks_growing if is_growing else self._checks_always
        return next((no for no in (check.check(proposal, view) for check in checks) if no is not None), None)


class _Unusable:
    """Stands in for a check that could not be made anew: refuses everything."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def check(self, _proposal: Proposal, _view: RiskView, /) -> Refusal:
        return self._refusal


def _propose(intent: NewOrder | AmendOrder, view: RiskView) -> OrderProposal | Refusal:
    """The intent in the form that checks judge, or why there is nothing to judge."""
    if isinstance(intent, NewOrder):
        instrument = _connected_instrument(intent.instrument, view)
        if isinstance(instrument, Refusal):
            return instrument
        return find_unoffered(intent, view.terms(instrument.venue)) or propose_new(intent, instrument, view)
    order = _own_open_order(intent, view)
    if isinstance(order, Refusal):
        return order
    instrument = _connected_instrument(order.instrument, view)
    if isinstance(instrument, Refusal):
        return instrument
    refusal = find_unoffered(intent, view.terms(instrument.venue)) or _refuse_change(intent, order)
    return refusal or propose_amend(intent, order, instrument, view)


def _judge_cancel(intent: CancelOrder | CancelAll, view: RiskView) -> Approved | Refused:
    """No limit is asked: a cancel only takes orders out of the market."""
    if isinstance(intent, CancelAll):
        venue, client_order_id = intent.venue, ""
    else:
        order = _own_open_order(intent, view)
        if isinstance(order, Refusal):
            return _refuse(intent, order, _GATE, ts_ns=view.now_ns)
        venue, client_order_id = order.venue, order.client_order_id
    return Approved(
        intent=intent, venue=venue, client_order_id=client_order_id, request_kind=RequestKind.CANCEL, ts_ns=view.now_ns
    )


def _connected_instrument(instrument_id: InstrumentId, view: RiskView) -> Instrument | Refusal:
    instrument = view.instrument(instrument_id)
    if instrument is None:
        return Refusal(RefusalCode.UNKNOWN_INSTRUMENT, instrument=instrument_id)
    if not view.is_connected(instrument.venue):
        return Refusal(RefusalCode.VENUE_DOWN, venue=instrument.venue)
    return instrument


def _own_open_order(intent: AmendOrder | CancelOrder, view: RiskView) -> Order | Refusal:
    order = view.order(intent.client_order_id)
    if order is None or order.strategy != intent.strategy:
        return Refusal(RefusalCode.UNKNOWN_ORDER, client_order_id=intent.client_order_id)
    if not order.status.may_trade:
        return Refusal(RefusalCode.ORDER_FINAL, client_order_id=order.client_order_id, status=order.status.value)
    return order


def _refuse_change(intent: AmendOrder, order: Order) -> Refusal | None:
    is_changing = order.cancel_wanted or order.amend_price is not None or order.amend_size is not None
    if is_changing or order.status not in _CHANGEABLE:
        return Refusal(RefusalCode.ORDER_BUSY, client_order_id=order.client_order_id, status=order.status.value)
    if intent.size <= order.filled:
        return Refusal(RefusalCode.BAD_SIZE, size=intent.size, filled=order.filled)
    return None


def _refuse(intent: Intent, refusal: object, check: str, *, ts_ns: int) -> Refused:
    if not isinstance(refusal, Refusal) or not isinstance(refusal.code, RefusalCode):
        refusal = Refusal(RefusalCode.CHECK_FAILED, answer=type(refusal).__name__)
    return Refused(
        intent=intent, code=refusal.code, detail=refusal.text, check=check, ts_ns=ts_ns, cancels=refusal.cancels
    )


def _stand_in(intent: object) -> CancelOrder:
    strategy = intent.strategy if isinstance(intent, Intent) else ""
    return CancelOrder(strategy=strategy if is_text(strategy) else "", client_order_id="")


def _broken(error: BaseException) -> Refusal:
    """Names the file without its folder: a verdict is the same wherever the program is installed."""
    text = ascii(message_of(error))[:_ERROR_TEXT_MAX]
    place = raised_at(error).rpartition("/")[2]
    return Refusal(RefusalCode.CHECK_FAILED, error=f"{type(error).__name__}: {text} at {place}")
