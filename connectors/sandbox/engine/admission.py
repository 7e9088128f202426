"""Whether the exchange takes a request at all. Pure questions on the state; each answers None or the Rejection.

The order of the questions decides which code a request with several faults gets. The venue does not document its order:
ours is an *assumption*, but for what recorded answers show.
"""

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.fees import fee_bound
from connectors.sandbox.engine.model import PPM, AmendRequest, Market, MarketSpec, Order, OrderRequest, Rejection
from connectors.sandbox.engine.price_grid import on_grid
from connectors.sandbox.engine.rules import Rules
from connectors.sandbox.engine.state import ExchangeState


def refuse_entry(state: ExchangeState, market: Market) -> Rejection | None:
    """Placing and amending: only while exchange, trading and market are open (vendor docs)."""
    refusal = refuse_cancel(state, market)
    if refusal is not None:
        return refusal
    if state.phase == "trading_paused" or market.status == "inactive":
        return Rejection("trading_paused")
    return None


def refuse_cancel(state: ExchangeState, market: Market) -> Rejection | None:
    """Cancelling and decreasing: also in a trading pause, not in an exchange pause or after the close (vendor docs).

    The code before a market opens is an *assumption*.
    """
    if state.phase == "exchange_paused":
        return Rejection("exchange_paused")
    if market.status == "initialized":
        return Rejection("market_not_open", "market is not open yet")
    if market.status not in ("active", "inactive"):
        return Rejection("market_closed")
    return None


def refuse_new(state: ExchangeState, request: OrderRequest) -> Rejection | None:
    """Everything about a new order that depends neither on the book nor on the balance."""
    market = state.markets.get(request.market_id)
    if state.phase == "exchange_paused":
        return Rejection("exchange_paused")
    if market is None:
        return Rejection("market_not_found", request.market_id)
    if request.account not in state.accounts:
        return Rejection("account_not_found", request.account)
    return (
        refuse_entry(state, market)
        or _refuse_kind(state.rules, market.spec, request)
        or _refuse_flags(state.rules, request, state.now_ns)
        or _refuse_terms(market, request)
        or _refuse_client_id(state, request.account, client_order_id=request.client_order_id)
        or (state.hook.refuse(request) if state.hook else None)
    )


def refuse_amend(state: ExchangeState, request: AmendRequest, *, order: Order) -> Rejection | None:
    """Everything about an amend of the resting `order` that depends neither on the book nor on the balance."""
    market = state.markets[order.market_id]
    if request.market_id not in (None, order.market_id):
        return Rejection("market_mismatch", f"order is in {order.market_id}")
    if request.side not in (None, order.side):
        return Rejection("side_mismatch", f"order is {order.side}")
    if request.client_order_id not in (None, "", order.client_order_id):
        return Rejection("client_id_mismatch")
    if request.expiration_ns and request.expiration_ns <= state.now_ns:
        return Rejection("invalid_expiry", "Expiration timestamp must be in the future")
    if request.size <= order.filled:
        return Rejection("invalid_size", f"count must be above the {order.filled} already filled")
    renamed = request.new_client_order_id
    if renamed and renamed != order.client_order_id:
        refusal = _refuse_client_id(state, request.account, client_order_id=renamed)
        if refusal is not None:
            return refusal
    return (
        refuse_entry(state, market)
        or _refuse_size(market.spec, request.size)
        or _refuse_price(market, request.price, size=request.size)
    )


def refuse_balance(account: Account, spec: MarketSpec, *, order: Order, crosses: bool) -> Rejection | None:
    """The account must cover the order's worst case: collateral at its limit and the fee of trading at once.

    `crosses` is whether it would trade at once; only then the taker fee counts (*assumption*).
    """
    net = account.position(spec.market_id).net
    funded = COLLATERAL[spec.kind].funded(spec, net, order.side, size=order.remaining)
    fee = fee_bound(spec, order.price, size=funded, taker=True) if crosses and funded else 0
    if account.shortfall(spec, order, fee=fee) > 0:
        return Rejection("insufficient_balance")
    return None


def _refuse_kind(rules: Rules, spec: MarketSpec, request: OrderRequest) -> Rejection | None:
    if request.kind not in rules.kinds:
        return Rejection("not_offered", f"{request.kind} orders")
    if request.kind == "market" and (request.tif == "gtc" or request.post_only):
        return Rejection("invalid_order", "market orders must be immediate or cancel, or fill or kill")
    if request.quote_amount and (request.kind != "market" or request.size or request.quote_amount < 0):
        return Rejection("invalid_order", "a quote amount is for market orders without a size")
    trigger = request.trigger
    if trigger is None:
        return None
    if trigger.kind not in rules.triggers:
        return Rejection("not_offered", f"{trigger.kind} orders")
    if trigger.by == "mark" and spec.kind != "perpetual":
        return Rejection("invalid_trigger", "this market has no mark price")
    return None if on_grid(spec, trigger.price) else Rejection("invalid_trigger", f"price {trigger.price}")


def _refuse_flags(rules: Rules, request: OrderRequest, now_ns: int) -> Rejection | None:
    if rules.reduce_only_needs_ioc and request.reduce_only and request.tif != "ioc":
        return Rejection("invalid_order", "reduce only orders must be immediate or cancel")
    if rules.post_only_needs_gtc and request.post_only and request.tif != "gtc":
        return Rejection("invalid_order", "post only orders must be good till canceled")
    if rules.expiry_needs_gtc and request.expiration_ns and request.tif != "gtc":
        return Rejection("invalid_expiry", "expiration time requires good till canceled")
    if request.expiration_ns and request.expiration_ns <= now_ns:
        return Rejection("invalid_expiry", "Expiration timestamp must be in the future")
    return None


def _refuse_terms(market: Market, request: OrderRequest) -> Rejection | None:
    if not request.quote_amount and (refusal := _refuse_size(market.spec, request.size)) is not None:
        return refusal
    if request.kind == "market":
        return None if request.price == 0 or on_grid(market.spec, request.price) else Rejection("invalid_price")
    return _refuse_price(market, request.price, size=request.size, waits=request.trigger is not None)


def _refuse_size(spec: MarketSpec, size: int) -> Rejection | None:
    if size <= 0 or size % spec.size_step or size > spec.size_max:
        return Rejection("invalid_size", f"size {size} must be a multiple of {spec.size_step} up to {spec.size_max}")
    return None if size >= spec.size_min else Rejection("below_minimum", f"size {size} must be {spec.size_min} or more")


def _refuse_price(market: Market, price: int, *, size: int, waits: bool = False) -> Rejection | None:
    """The grid, the least worth, and how far from the market; an order that waits for its trigger may be far."""
    spec, reference = market.spec, market.reference_price
    if not on_grid(spec, price):
        return Rejection("invalid_price")
    if price * size < spec.notional_min:
        return Rejection("below_minimum", f"worth {price * size} must be {spec.notional_min} or more")
    far = abs(price - reference) * PPM > spec.price_deviation_ppm * reference
    if spec.price_deviation_ppm and reference and far and not waits:
        return Rejection("price_deviation", f"price {price} is too far from {reference}")
    return None


def _refuse_client_id(state: ExchangeState, account: str, *, client_order_id: str) -> Rejection | None:
    if client_order_id and state.ledger.order_by_client(account, client_order_id) is not None:
        return Rejection("client_id_used")
    return None
