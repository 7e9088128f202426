"""The records of the exchange engine: markets, orders, positions, fills, requests, answers. Integers only.

Units: a price counts 10^-price_decimals, a size 10^-size_decimals, money 10^-(price_decimals + size_decimals), so that
price x size is money without any division. Times are nanoseconds since the epoch; zero means "not set".
The engine shares no type with the daemon on purpose: a mistake in the daemon's own types cannot pass on both sides.
"""

from typing import Literal

import msgspec

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
PPM = 1_000_000

Side = Literal["bid", "ask"]
TimeInForce = Literal["gtc", "ioc", "fok"]
SelfTrade = Literal["taker_at_cross", "maker", "allow"]
"""Who is cancelled when an order meets one of its own account: the incoming order, the one that rests, or nobody."""
OrderKind = Literal["limit", "market"]
TriggerKind = Literal["stop", "take_profit"]
TriggerBy = Literal["last", "mark"]
OrderStatus = Literal["open", "pending_trigger", "cancelling", "ended"]
"""Where an order stands: it rests or trades; it waits for its trigger; its cancel is on the way; it is over."""
MarketKind = Literal["binary", "spot", "perpetual"]
MarketStatus = Literal["initialized", "active", "inactive", "closed", "determined", "finalized"]
Phase = Literal["open", "trading_paused", "exchange_paused"]
UpdateReason = Literal[
    "",
    "amended",
    "decreased",
    "traded",
    "filled",
    "unfilled",
    "cancelled",
    "margin",
    "self_trade",
    "expired",
    "closed",
    "halted",
    "reduce_only",
    "post_only",
    "triggered",
    "liquidated",
]
"""Why an order last changed. One that ended by trading everything is "filled"; what an immediate order did not get is
"unfilled"; "cancelled" is by its owner or by the venue's own rules; "margin": the balance did not cover it any more.
"""
RejectionCode = Literal[
    "account_not_found",
    "below_minimum",
    "cancel_pending",
    "client_id_mismatch",
    "client_id_used",
    "exchange_paused",
    "fok_unfillable",
    "insufficient_balance",
    "invalid_expiry",
    "invalid_order",
    "invalid_price",
    "invalid_request",
    "invalid_size",
    "invalid_trigger",
    "market_closed",
    "market_mismatch",
    "market_not_found",
    "market_not_open",
    "not_found",
    "not_offered",
    "position_open",
    "post_only_crosses",
    "price_deviation",
    "side_mismatch",
    "trading_paused",
]
"""Every code of a refusal; a venue's server translates it into that venue's words."""


CashFlowKind = Literal["transfer", "funding", "liquidation"]


class FeeModel(msgspec.Struct, frozen=True):
    """How one fill is charged. `formula` "quadratic" is rate x size x P x (1 - P); "notional" is rate x size x P.

    Rates are parts per million of money, `multiplier_ppm` scales both; a negative rate is a rebate. `fee_step` is the
    step (in money units) to which the trade fee is rounded up. `rounding` "up", for "notional" only, charges that;
    "balance" also rounds the account's balance change down to `balance_step`, and gives back what an order so loses
    (`fees.fill_fee`).
    `asset` says what it is paid in: "quote"; "received": base by a buyer, quote by a seller; "other": the asset
    `currency` with the decimals of money, `per_money_ppm` millionths of it for one, while the account has enough of it.
    The defaults are Kalshi's: taker 0.07, rounding to $0.000001, balances of $0.0001 (vendor docs, October 2026).
    """

    formula: Literal["quadratic", "notional"] = "quadratic"
    taker_ppm: int = 70_000
    maker_ppm: int = 0
    multiplier_ppm: int = PPM
    fee_step: int = 1
    balance_step: int = 100
    rounding: Literal["balance", "up"] = "balance"
    asset: Literal["quote", "received", "other"] = "quote"
    currency: str = ""
    per_money_ppm: int = PPM


class PriceBand(msgspec.Struct, frozen=True):
    """Valid prices from `start` to `end` (inclusive) in steps of `step`."""

    start: int
    end: int
    step: int


class PerpetualTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a perpetual has beside a spot market. Rates are parts per million.

    An account's leverage is from 1 to `leverage_max`, at first `leverage_default`. A position needs `maintenance_ppm`
    of its value at the mark, and pays `liquidation_fee_ppm` of it when it is taken over. Every `funding_interval_ns`
    longs pay shorts the funding rate: `funding_base_ppm` and the premium of the last price over the mark, both together
    within `funding_cap_ppm` either way.
    """

    leverage_max: int = 125
    leverage_default: int = 10
    maintenance_ppm: int = 4_000
    liquidation_fee_ppm: int = 5_000
    funding_interval_ns: int = 8 * 3_600 * NS_PER_S
    funding_base_ppm: int = 100
    funding_cap_ppm: int = 3_000


class MarketSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What never changes about a market. `cash_account` names the balance that the market draws on: the quote
    asset, or a part of it where the venue divides it. `base` is the asset that is traded; a binary market has none.
    Sizes are multiples of `size_step` up to `size_max`. `settle_value` fixes the outcome beforehand (price per YES,
    0 to `one`); -1 leaves it open. Where above zero: orders are at least `size_min`, limit orders worth `notional_min`
    of money and no further than `price_deviation_ppm` from the mark or last price, and a market order must be covered
    with `market_margin_ppm` on top of its estimated cost. `perpetual` is for perpetuals only.
    Times: it opens by itself at `open_ns`, closes at `close_ns`, cancels what rests `cancel_delay_ns` later, is
    determined `determine_delay_ns` after the close and paid out `settle_delay_ns` after that. A close of 0 means never.
    The delays are *assumptions*: the venue documents the order of these steps, not their times.
    """

    market_id: str
    kind: MarketKind = "binary"
    price_decimals: int = 4
    size_decimals: int = 2
    bands: tuple[PriceBand, ...] = (PriceBand(0, 10_000, 100),)
    size_step: int = 1
    size_max: int = 10**12
    fees: FeeModel = FeeModel()
    cash_account: str = "USD"
    base: str = ""
    open_ns: int = 0
    close_ns: int = 0
    cancel_delay_ns: int = 2_000_000_000
    determine_delay_ns: int = 5_000_000_000
    settle_delay_ns: int = 10_000_000_000
    settle_value: int = -1
    size_min: int = 0
    notional_min: int = 0
    price_deviation_ppm: int = 0
    market_margin_ppm: int = 0
    perpetual: PerpetualTerms = PerpetualTerms()

    @property
    def one(self) -> int:
        """The price 1: what one contract of the winning side pays."""
        return int(10**self.price_decimals)


class Market(msgspec.Struct, kw_only=True):
    """A market as it stands now; the engine changes it, everybody else only reads.

    `clock` is the exchange's operation number at the last change of this market: non-decreasing, skips values.
    `settle_value` is the price paid per YES once determined, -1 before. `traded_money` is the sum of price x size.
    Prices of trades are 0 before the first one. `close_ns` moves when the market is closed early; `quoted_bid` and
    `quoted_ask` stay true once a side had an order. Of a perpetual: the mark and index price, 0 until set, the funding
    rate that would be paid now in parts per million, and when it is paid next.
    """

    spec: MarketSpec
    status: MarketStatus = "initialized"
    clock: int = 0
    last_price: int = 0
    last_size: int = 0
    last_trade_ns: int = 0
    previous_price: int = 0
    volume: int = 0
    traded_money: int = 0
    open_interest: int = 0
    close_ns: int = 0
    settle_value: int = -1
    quoted_bid: bool = False
    quoted_ask: bool = False
    updated_ns: int = 0
    determined_ns: int = 0
    settled_ns: int = 0
    mark_price: int = 0
    index_price: int = 0
    funding_rate_ppm: int = 0
    next_funding_ns: int = 0

    @property
    def market_id(self) -> str:
        """The market's name at the venue, as its specification gives it."""
        return self.spec.market_id

    @property
    def reference_price(self) -> int:
        """The mark price, else the last one; 0 when there is neither."""
        return self.mark_price or self.last_price

    @property
    def result(self) -> str:
        """ "" before determination, then "yes", "no" or "scalar"."""
        if self.settle_value < 0:
            return ""
        return {0: "no", self.spec.one: "yes"}.get(self.settle_value, "scalar")


class Trigger(msgspec.Struct, frozen=True):
    """When a waiting order starts: a "stop" when the last or mark price has moved to `price` or past it in the order's
    own direction (up for a bid), a "take_profit" when it has come as far the other way.
    """

    kind: TriggerKind
    price: int
    by: TriggerBy = "last"


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new order. `size` and `price` in the market's units; `expiration_ns` 0 means none.

    A market order needs no price; with one it trades no worse than that. Instead of `size` it may give `quote_amount`,
    the money to spend or to get at most. Which flags go with which time in force the `Rules` say, and who is cancelled
    in a self-trade where `self_trade` is None. `cancel_on_pause` ends it when trading pauses. An empty
    `client_order_id` means none; else the account may use it once. `group_id` may be empty, too.
    """

    account: str
    market_id: str
    side: Side
    price: int = 0
    size: int = 0
    tif: TimeInForce = "gtc"
    self_trade: SelfTrade | None = None
    client_order_id: str = ""
    post_only: bool = False
    reduce_only: bool = False
    expiration_ns: int = 0
    group_id: str = ""
    cancel_on_pause: bool = False
    kind: OrderKind = "limit"
    quote_amount: int = 0
    trigger: Trigger | None = None


class AmendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a resting order. `size` is the total including what is filled.

    `expiration_ns`: None keeps, 0 clears. `client_order_id`, when given, must be the order's; `new_client_order_id`
    replaces it. `side` and `market_id`, when given, must be the order's.
    """

    account: str
    order_id: str
    price: int
    size: int
    side: Side | None = None
    market_id: str | None = None
    expiration_ns: int | None = None
    client_order_id: str | None = None
    new_client_order_id: str | None = None


class Order(msgspec.Struct, kw_only=True):
    """An accepted order. `initial` is the total asked for (an amend changes it), `remaining` what still rests.

    `price` of a market order is the worst that it may trade at. `sequence` orders the queue within a price. Costs are
    money, by the role of the fills that made them; so are fees, of which those in another asset are only in the fills.
    `rounding` is what the fee rounding has accumulated, in money. `arrival_ns` is when the request came.
    """

    order_id: str
    client_order_id: str
    account: str
    market_id: str
    side: Side
    price: int
    initial: int
    remaining: int
    filled: int = 0
    tif: TimeInForce
    self_trade: SelfTrade
    post_only: bool
    reduce_only: bool
    expiration_ns: int
    group_id: str
    cancel_on_pause: bool
    status: OrderStatus = "open"
    reason: UpdateReason = ""
    arrival_ns: int
    updated_ns: int
    sequence: int = 0
    taker_cost: int = 0
    maker_cost: int = 0
    taker_fees: int = 0
    maker_fees: int = 0
    rounding: int = 0
    kind: OrderKind = "limit"
    quote_amount: int = 0
    trigger: Trigger | None = None


class Position(msgspec.Struct):
    """Net contracts of one account in one market (+YES/-NO; spot: base bought minus sold) and their history.

    `cost` is what the open contracts cost, `realized` profit without fees, `fees` all fees, `traded` the sum of cash
    flows without sign, all money; `volume` is contracts traded. `updated_ns` is 0 before the first fill.
    Of a perpetual, `cost` is signed (size x entry price, negative for a short), `margin` the money that is the
    position's own, `funding` what funding paid in all, and `leverage` 0 until the account has chosen one.
    """

    net: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0
    traded: int = 0
    volume: int = 0
    updated_ns: int = 0
    margin: int = 0
    funding: int = 0
    leverage: int = 0


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One account's half of a trade. `fee` is what was charged net of rebates; `position` after the fill.

    The fee is money of the market, or sizes or units of the asset `fee_currency`. A liquidation has no order: its
    `order_id` is empty. `is_listed` is false for a fill that the member's lists don't show.
    """

    trade_id: str
    order_id: str
    client_order_id: str
    account: str
    market_id: str
    side: Side
    is_taker: bool
    price: int
    size: int
    fee: int
    position: int
    ns: int
    fee_currency: str
    is_listed: bool = True


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """A paid position: `net` contracts (+YES, -NO) that had cost `cost`, paid `revenue` at `value` per YES."""

    account: str
    market_id: str
    net: int
    cost: int
    revenue: int
    value: int
    fees: int
    ns: int


class CashFlow(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a balance that no trade made. `amount` is signed: money, or sizes of a base asset.

    `currency` is the cash account or base asset; `market_id` is empty where no market is concerned.
    """

    flow_id: str
    account: str
    kind: CashFlowKind
    market_id: str
    currency: str
    amount: int
    ns: int


class Accepted(msgspec.Struct, frozen=True):
    """The engine took the request. `fills` are those of this call.

    `order` is the engine's own record: read it before the next call, which may change it.
    `reduced` is the size that a cancel or a decrease took off the order; 0 for other requests.
    """

    order: Order
    fills: tuple[Fill, ...] = ()
    reduced: int = 0


class Rejection(msgspec.Struct, frozen=True):
    """The engine refused the request and nothing changed. `details` may be empty."""

    code: RejectionCode
    details: str = ""
