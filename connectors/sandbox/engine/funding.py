"""Funding of perpetuals: at every interval each position pays or gets its size x mark x rate.

Longs pay shorts when the rate is above zero. A position's payment goes through its own margin, and what the margin of a
payer does not have comes out of the account's balance. Payments are rounded against both sides; the rest, less than one
unit a position, is the insurance account's.
"""

from collections.abc import Callable
from typing import Protocol

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.execution import Execution
from connectors.sandbox.engine.model import PPM, Market, Rejection
from connectors.sandbox.engine.perpetual import Perpetuals
from connectors.sandbox.engine.state import INSURANCE, ExchangeState


class At(Protocol):
    """The exchange's timetable: calls `act` with `target` at `due_ns`."""

    def __call__(self, due_ns: int, act: Callable[[str], None], *, target: str) -> None:
        """Register one call."""
        ...


class Funding:
    """Pays funding, by the timetable `at` or on request."""

    def __init__(self, state: ExchangeState, execution: Execution, perpetuals: Perpetuals, at: At) -> None:
        self._state = state
        self._execution = execution
        self._perpetuals = perpetuals
        self._at = at

    def list_market(self, market: Market) -> None:
        """Start the timetable of a perpetual: at whole multiples of its interval since the epoch."""
        interval_ns = market.spec.perpetual.funding_interval_ns
        market.next_funding_ns = self._state.now_ns // interval_ns * interval_ns + interval_ns
        self._at(market.next_funding_ns, self._pay_on_time, target=market.market_id)

    def pay(self, market: Market, rate_ppm: int | None = None) -> Rejection | None:
        """Pay funding now at `rate_ppm` (None: the market's present rate), then liquidate what it has made due."""
        if market.mark_price == 0:
            return Rejection("invalid_request", f"{market.market_id} has no mark price to pay funding at")
        rate = market.funding_rate_ppm if rate_ppm is None else rate_ppm
        cash_account = market.spec.cash_account
        total = 0
        for account in list(self._state.accounts.values()):
            position = account.positions.get(market.market_id)
            if position is not None and position.net:
                payment = -position.net * market.mark_price * rate // PPM
                self._receive(account, market, payment)
                total += payment
        self._state.accounts[INSURANCE].transfer(cash_account, -total)
        self._perpetuals.liquidate_due()
        return None

    def _pay_on_time(self, market_id: str) -> None:
        market = self._state.markets[market_id]
        if market.status not in ("initialized", "active", "inactive"):
            return
        self.list_market(market)
        if market.mark_price:
            self.pay(market)
            self._perpetuals.publish(market)

    def _receive(self, account: Account, market: Market, payment: int) -> None:
        spec, position = market.spec, account.position(market.market_id)
        account.transfer(spec.cash_account, payment)
        position.funding += payment
        position.margin = max(0, position.margin + payment)
        account.hold(spec)
        self._execution.enforce_margin(account, market)
        self._state.record_flow(
            account, "funding", currency=spec.cash_account, amount=payment, market_id=market.market_id
        )
        self._state.position_changed(account, market.market_id)
