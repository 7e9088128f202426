"""Perpetuals: the mark price, what a position is worth at it, leverage, and liquidation of what is worth too little.

A position of `PerpetualCollateral` has a margin of its own. When margin and unrealized profit at the mark come down to
the maintenance margin, the insurance account takes the position over at the mark. The fee goes to it as far as the
margin reaches; what the margin does not cover it pays. That no order of the book is involved is an *assumption*.
"""

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.events import FillEvent, MarkChange
from connectors.sandbox.engine.execution import Execution
from connectors.sandbox.engine.model import PPM, Fill, Market, MarketSpec, Position, Rejection, Side
from connectors.sandbox.engine.state import INSURANCE, ExchangeState


def entry_price(position: Position) -> int:
    """The average price of what is open, rounded down; 0 for a flat position."""
    return position.cost // position.net if position.net else 0


def unrealized(position: Position, mark: int) -> int:
    """Profit of the open part at `mark`, as money; negative for a loss."""
    return position.net * mark - position.cost


def maintenance_margin(spec: MarketSpec, position: Position, mark: int) -> int:
    """What a position must be worth at `mark`, as money, rounded up."""
    return -(-abs(position.net) * mark * spec.perpetual.maintenance_ppm // PPM)


def liquidation_price(spec: MarketSpec, position: Position) -> int:
    """The first mark at which a position is liquidated; 0 when flat or when no price does it."""
    size, rate = abs(position.net), spec.perpetual.maintenance_ppm
    if position.net > 0:
        return max(0, (position.cost - position.margin) * PPM // (size * (PPM - rate)))
    return -((position.cost - position.margin) * PPM // (size * (PPM + rate))) if size else 0


class Perpetuals:
    """The perpetual markets of an exchange. Acts answer None when done, else the Rejection."""

    def __init__(self, state: ExchangeState, execution: Execution) -> None:
        self._state = state
        self._execution = execution

    def list_market(self, market: Market) -> None:
        """Take a perpetual in; opens the insurance account with the first."""
        if INSURANCE not in self._state.accounts:
            self._state.accounts[INSURANCE] = Account(INSURANCE, {}, internal=True)

    def set_mark(self, market: Market, price: int) -> Rejection | None:
        """Set mark and index price, and what they say of the funding rate. Liquidations are for `liquidate_due`."""
        if market.spec.kind != "perpetual":
            return Rejection("invalid_request", f"{market.market_id} is no perpetual: it has no mark price")
        if price <= 0:
            return Rejection("invalid_price", f"mark price {price} must be above zero")
        market.mark_price = market.index_price = price
        market.funding_rate_ppm = _funding_rate_ppm(market)
        market.updated_ns = self._state.now_ns
        of = market.market_id
        held = [(name, of) for name, one in self._state.accounts.items() if of in one.positions]
        self._state.revalued.update(dict.fromkeys(held))
        self.publish(market)
        return None

    def publish(self, market: Market) -> None:
        """Emit mark, index and funding of a market as they stand."""
        self._state.events.append(
            MarkChange(
                market_id=market.market_id,
                mark=market.mark_price,
                index=market.index_price,
                funding_rate_ppm=market.funding_rate_ppm,
                next_funding_ns=market.next_funding_ns,
                ns=self._state.now_ns,
            )
        )

    def set_leverage(self, account: Account, market: Market, leverage: int, *, force: bool) -> Rejection | None:
        """Choose the leverage of what is opened from now on; with an open position only by `force`."""
        terms = market.spec.perpetual
        if market.spec.kind != "perpetual" or not 1 <= leverage <= terms.leverage_max:
            return Rejection("invalid_request", f"leverage {leverage} must be from 1 to {terms.leverage_max}")
        position = account.position(market.market_id)
        if position.net and not force:
            return Rejection("position_open", "leverage cannot change while a position is open")
        before = position.leverage
        position.leverage = leverage
        account.hold(market.spec)
        if account.available(market.spec.cash_account) >= 0:
            return None
        position.leverage = before
        account.hold(market.spec)
        return Rejection("insufficient_balance")

    def liquidate_due(self) -> None:
        """Liquidate every position whose worth at the mark has come down to the maintenance margin.

        Only those are looked at that have changed since, themselves or by their mark: with many markets most have not.
        """
        state = self._state
        for pair in list(state.revalued):
            account, market = state.accounts[pair[0]], state.markets[pair[1]]
            if market.mark_price and market.status in ("active", "inactive"):
                del state.revalued[pair]
                if self._is_due(account, market):
                    self._take_over(account, market)

    def liquidate(self, account: Account, market: Market) -> Rejection | None:
        """Liquidate a position at the mark now, whatever it is worth."""
        position = account.positions.get(market.market_id)
        if market.mark_price == 0 or position is None or position.net == 0:
            return Rejection("invalid_request", f"{account.account_id} has no position with a mark price to liquidate")
        self._take_over(account, market)
        return None

    def _is_due(self, account: Account, market: Market) -> bool:
        position = account.positions.get(market.market_id)
        if position is None or position.net == 0 or account.account_id == INSURANCE:
            return False
        worth = position.margin + unrealized(position, market.mark_price)
        return worth <= maintenance_margin(market.spec, position, market.mark_price)

    def _take_over(self, account: Account, market: Market) -> None:
        for order in list(account.working.get(market.market_id, {}).values()):
            self._execution.cancel(order, "liquidated")
        spec, mark, insurance = market.spec, market.mark_price, self._state.accounts[INSURANCE]
        position = account.position(market.market_id)
        net, worth = position.net, position.margin + unrealized(position, mark)
        fee = -(-abs(net) * mark * spec.perpetual.liquidation_fee_ppm // PPM)
        # All that the margin is worth, or what it lacks: no other money of the account is touched.
        paid = min(fee, worth)
        side: Side = "ask" if net > 0 else "bid"
        for one, direction in ((account, side), (insurance, "bid" if side == "ask" else "ask")):
            taken = one.position(market.market_id)
            one.apply(COLLATERAL[spec.kind].fill(spec, taken, side=direction, price=mark, size=abs(net)))
        account.transfer(spec.cash_account, -paid)
        insurance.transfer(spec.cash_account, paid)
        for one in (account, insurance):
            one.hold(spec)
            self._state.position_changed(one, market.market_id)
        market.open_interest = sum(max(0, one.position(market.market_id).net) for one in self._state.accounts.values())
        self._record(account, market, side=side, size=abs(net), paid=paid)

    def _record(self, account: Account, market: Market, *, side: Side, size: int, paid: int) -> None:
        state = self._state
        fill = Fill(
            trade_id=state.new_id(),
            order_id="",
            client_order_id="",
            account=account.account_id,
            market_id=market.market_id,
            side=side,
            is_taker=True,
            price=market.mark_price,
            size=size,
            fee=0,
            fee_currency=market.spec.cash_account,
            position=0,
            ns=state.now_ns,
            is_listed=False,
        )
        if not account.internal:
            state.ledger.fills.append(fill)
            state.events.append(FillEvent(fill))
        state.record_flow(
            account, "liquidation", currency=market.spec.cash_account, amount=-paid, market_id=market.market_id
        )


def _funding_rate_ppm(market: Market) -> int:
    """The base rate and the premium of the last price over the mark, within the cap (*assumption*)."""
    terms, mark = market.spec.perpetual, market.mark_price
    premium = (market.last_price - mark) * PPM // mark if market.last_price else 0
    return max(-terms.funding_cap_ppm, min(terms.funding_cap_ppm, terms.funding_base_ppm + premium))
