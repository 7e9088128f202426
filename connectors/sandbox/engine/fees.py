"""What a fill costs: the model fee, the asset that it is paid in, and its rounding.

With the rounding "up" an order pays the model fee of all it traded, rounded up once for what it took and once for what
it made: a fill adds the difference (*assumption*). The rounding "balance" has a per-order accumulator that gives
rounding back; its source is the vendor docs of Kalshi as of October 2026. The trade fee is the model fee rounded up to
`FeeModel.fee_step`; the balance change (revenue - trade fee) is rounded down to `FeeModel.balance_step`; the difference
is the rounding fee. Rounding fees of one order accumulate over its taker and maker fills; whole balance steps are given
back, but never more than the fill's own fee. That a rounding is accumulated before the rebate is taken is an
*assumption*.
"""

from typing import NamedTuple

from connectors.sandbox.engine.model import PPM, FeeModel, MarketSpec, Order


class FillFee(NamedTuple):
    """The fee of one fill in money units: `total` is charged; `accumulated` goes with the order to its next fill."""

    trade: int
    rounding: int
    rebate: int
    accumulated: int

    @property
    def total(self) -> int:
        """What the account pays: trade fee plus rounding fee minus rebate, never negative."""
        return self.trade + self.rounding - self.rebate


def trade_fee(spec: MarketSpec, price: int, *, size: int, taker: bool) -> int:
    """The model fee of `size` at `price`, as money rounded up to `FeeModel.fee_step`; 0 where the rate is 0."""
    model = spec.fees
    rate = model.taker_ppm if taker else model.maker_ppm
    numerator = rate * model.multiplier_ppm * size * price
    denominator = PPM * PPM
    if model.formula == "quadratic":
        numerator *= spec.one - price
        denominator *= spec.one
    step = denominator * model.fee_step
    return -(-numerator // step) * model.fee_step


def fill_fee(model: FeeModel, revenue: int, *, trade: int, accumulated: int = 0) -> FillFee:
    """Round one fill; all arguments and results are money.

    `revenue` is the signed cash flow without fees, `trade` the fill's trade fee, `accumulated` the rounding that the
    order carries from earlier fills and has not been given back.
    """
    step = model.balance_step
    exact = revenue - trade
    rounding = exact - exact // step * step
    accumulated += rounding
    rebate = min(accumulated, trade + rounding) // step * step
    return FillFee(trade, rounding, rebate, accumulated - rebate)


class Charge(NamedTuple):
    """What a fill is charged: `amount` of `currency`, and the rounding that the order carries to its next fill."""

    currency: str
    amount: int
    accumulated: int


def charge(spec: MarketSpec, order: Order, *, price: int, size: int, taker: bool, revenue: int) -> Charge:
    """The fee of a fill in the asset of the market's fee model; `revenue` as for `fill_fee`.

    `order` is as it was before the fill. A buyer's fee in the received base asset is the rate of the size, rounded up
    to a whole unit.
    """
    model = spec.fees
    if model.asset == "received" and order.side == "bid":
        rate = model.taker_ppm if taker else model.maker_ppm
        return Charge(spec.base, -(-rate * model.multiplier_ppm * size // (PPM * PPM)), order.rounding)
    if model.asset == "other":
        trade = trade_fee(spec, price, size=size, taker=taker)
        return Charge(model.currency, -(-trade * model.per_money_ppm // PPM), order.rounding)
    return in_quote(spec, order, price=price, size=size, taker=taker, revenue=revenue)


def in_quote(spec: MarketSpec, order: Order, *, price: int, size: int, taker: bool, revenue: int) -> Charge:
    """The fee of a fill as money of the market, rounded as its fee model says; arguments as for `charge`."""
    if spec.fees.rounding == "balance":
        trade = trade_fee(spec, price, size=size, taker=taker)
        fee = fill_fee(spec.fees, revenue, trade=trade, accumulated=order.rounding)
        return Charge(spec.cash_account, fee.total, fee.accumulated)
    before = order.taker_cost if taker else order.maker_cost
    after = trade_fee(spec, 1, size=before + price * size, taker=taker)
    return Charge(spec.cash_account, after - trade_fee(spec, 1, size=before, taker=taker), order.rounding)


def fee_bound(spec: MarketSpec, price: int, *, size: int, taker: bool) -> int:
    """An amount of money that covers the fees of filling `size` at `price` in any number of ordinary pieces.

    Two steps are added for rounding, unless neither a fee nor a rounding can occur; a rebate counts as no fee. Very
    many very small pieces can cost more where balances are rounded: `Execution` then cancels orders until the reserve
    is covered.
    """
    fee = max(0, trade_fee(spec, price, size=size, taker=taker))
    if spec.fees.rounding == "up":
        return fee + 2 * spec.fees.fee_step if fee else 0
    step = spec.fees.balance_step
    if fee == 0 and price % step == 0:
        return 0
    return -(-fee // step) * step + 2 * step
