"""What happens to an order once it is admitted: it trades, rests, shrinks or ends.

Books, accounts and events change together.
"""

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.events import BookChange, FillEvent, TradePrint
from connectors.sandbox.engine.fees import Charge, charge, in_quote
from connectors.sandbox.engine.matching import Book, opposite
from connectors.sandbox.engine.model import Fill, Market, Order, UpdateReason
from connectors.sandbox.engine.state import ExchangeState


class Execution:
    """The acts on admitted orders. Each leaves every invariant true; whether it is allowed, `admission` has checked."""

    def __init__(self, state: ExchangeState) -> None:
        self._state = state

    def run(self, order: Order) -> tuple[Fill, ...]:
        """Trade an order that is not in the book as far as it can; what remains rests or ends. Return its fills."""
        state = self._state
        market = state.markets[order.market_id]
        market.clock = state.next_operation()
        if state.hook:
            state.hook.entered(order)
        fills = self._match(order, market)
        if order.status == "open":
            if order.remaining == 0 and order.reduce_only and order.filled < order.initial:
                self._end(order, "reduce_only")
            elif order.remaining == 0:
                self._end(order, "filled")
            elif order.tif != "gtc" or order.kind == "market":
                self._end(order, "unfilled")
            else:
                self._rest(order, market)
        self.enforce_margin(state.accounts[order.account], market)
        if fills:
            self._end_useless(order)
        return fills

    def _match(self, taker: Order, market: Market) -> tuple[Fill, ...]:
        book = self._state.books[taker.market_id]
        fills: list[Fill] = []
        far = opposite(taker.side)
        while taker.remaining and taker.status == "open" and book.crosses(taker.side, taker.price):
            maker = book.head(far)
            if maker is None:
                break
            if maker.account != taker.account or taker.self_trade == "allow":
                fills.append(self._trade(taker, maker, market=market, book=book))
            elif taker.self_trade == "maker":
                self.cancel(maker, "self_trade")
            else:
                self._end(taker, "self_trade")
        return tuple(fills)

    def _trade(self, taker: Order, maker: Order, *, market: Market, book: Book) -> Fill:
        state = self._state
        size = min(taker.remaining, maker.remaining)
        if maker.reduce_only:
            size = min(size, self.closable(maker))
        price = maker.price
        trade_id = state.new_id()
        taker.remaining -= size
        total = book.reduce(maker, size)
        self._publish_book(maker, market, delta=-size, total=total)
        # Open interest is the sum of the long positions; only these one or two accounts change.
        before = self._long_of(market, taker, maker)
        # The maker's fill comes first; the venue documents no order of the two (assumption).
        self._book_fill(maker, trade_id, price=price, size=size, is_taker=False)
        taker_fill = self._book_fill(taker, trade_id, price=price, size=size, is_taker=True)
        market.open_interest += self._long_of(market, taker, maker) - before
        trade = TradePrint(trade_id, market.market_id, price, size, taker.side, market.clock, state.now_ns)
        self._print_trade(market, trade)
        if maker.remaining == 0:
            self._end(maker, "filled")
        else:
            maker.reason = "traded"
            state.order_changed(maker)
        if state.hook:
            state.hook.matched(maker, size)
            state.hook.matched(taker, size)
        self.enforce_margin(state.accounts[maker.account], market)
        self._end_useless(maker)
        return taker_fill

    def _long_of(self, market: Market, *orders: Order) -> int:
        accounts = {order.account for order in orders}
        return sum(max(0, self._state.accounts[name].position(market.market_id).net) for name in accounts)

    def closable(self, order: Order) -> int:
        """What `order` could take off its account's position as it is now."""
        spec = self._state.markets[order.market_id].spec
        net = self._state.accounts[order.account].position(order.market_id).net
        return COLLATERAL[spec.kind].reducible(net, order.side)

    def _end_useless(self, order: Order) -> None:
        """End the resting reduce-only orders of the account of `order` that have nothing left to reduce."""
        account = self._state.accounts[order.account]
        for other in list(account.working.get(order.market_id, {}).values()):
            if other.reduce_only and self.closable(other) == 0:
                self.cancel(other, "reduce_only")

    def _print_trade(self, market: Market, trade: TradePrint) -> None:
        market.previous_price = market.last_price
        market.last_price = trade.price
        market.last_size = trade.size
        market.last_trade_ns = market.updated_ns = trade.ns
        market.volume += trade.size
        market.traded_money += trade.price * trade.size
        self._state.ledger.print_trade(trade)
        self._state.events.append(trade)

    def _book_fill(self, order: Order, trade_id: str, *, price: int, size: int, is_taker: bool) -> Fill:
        state = self._state
        spec = state.markets[order.market_id].spec
        account = state.accounts[order.account]
        position = account.position(order.market_id)
        flows = COLLATERAL[spec.kind].fill(spec, position, side=order.side, price=price, size=size)
        account.apply(flows)
        order.filled += size
        order.updated_ns = state.now_ns
        account.hold(spec)
        revenue = flows[spec.cash_account]
        fee = self._charge(order, price=price, size=size, taker=is_taker, revenue=revenue)
        money = fee.amount if fee.currency == spec.cash_account else 0
        position.fees += money
        if is_taker:
            order.taker_cost += price * size
            order.taker_fees += money
        else:
            order.maker_cost += price * size
            order.maker_fees += money
        return self._publish_fill(order, trade_id, price=price, size=size, is_taker=is_taker, fee=fee)

    def _charge(self, order: Order, *, price: int, size: int, taker: bool, revenue: int) -> Charge:
        """Take the fee of a fill from the account and put it to the collected ones."""
        state = self._state
        spec = state.markets[order.market_id].spec
        account = state.accounts[order.account]
        fee = charge(spec, order, price=price, size=size, taker=taker, revenue=revenue)
        # An account without enough of another asset pays its fees in quote (assumption).
        if spec.fees.asset == "other" and account.available(fee.currency) < fee.amount:
            fee = in_quote(spec, order, price=price, size=size, taker=taker, revenue=revenue)
        order.rounding = fee.accumulated
        account.charge(fee.currency, fee.amount)
        state.fees_collected[fee.currency] = state.fees_collected.get(fee.currency, 0) + fee.amount
        return fee

    def _publish_fill(self, order: Order, trade_id: str, *, price: int, size: int, is_taker: bool, fee: Charge) -> Fill:
        state = self._state
        account = state.accounts[order.account]
        fill = Fill(
            trade_id=trade_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            account=order.account,
            market_id=order.market_id,
            side=order.side,
            is_taker=is_taker,
            price=price,
            size=size,
            fee=fee.amount,
            fee_currency=fee.currency,
            is_listed=is_taker or state.rules.lists_maker_fills,
            position=account.position(order.market_id).net,
            ns=state.now_ns,
        )
        if not account.internal:
            state.ledger.fills.append(fill)
            state.events.append(FillEvent(fill))
        state.position_changed(account, order.market_id)
        return fill

    def _rest(self, order: Order, market: Market) -> None:
        state = self._state
        account = state.accounts[order.account]
        order.sequence = state.next_sequence()
        order.updated_ns = state.now_ns
        if order.filled and order.reason != "amended":
            order.reason = "traded"
        total = state.books[order.market_id].add(order)
        account.working.setdefault(order.market_id, {})[order.order_id] = order
        account.hold(market.spec)
        self._publish_book(order, market, delta=order.remaining, total=total)
        state.order_changed(order)

    def estimate(self, order: Order) -> tuple[int, int]:
        """(size, cost) that an order would trade at once, up to what remains of it; the cost is money without fees."""
        size = cost = 0
        for price, available in self._state.books[order.market_id].takeable(order, self.closable):
            taken = min(available, order.remaining - size)
            size += taken
            cost += price * taken
        return size, cost

    def affordable(self, order: Order) -> int:
        """The size that an order's quote amount buys, or sells for, at once: whole steps, nothing beyond the amount."""
        spec = self._state.markets[order.market_id].spec
        size, money = 0, order.quote_amount
        for price, available in self._state.books[order.market_id].takeable(order, self.closable):
            taken = min(available, money // price)
            taken -= taken % spec.size_step
            size += taken
            money -= price * taken
            if taken < available:
                break
        return min(size, spec.size_max)

    def take_out(self, order: Order) -> None:
        """Take a resting order out of the book so that it can run again; its reserve stays until `run` ends."""
        market = self._state.markets[order.market_id]
        market.clock = self._state.next_operation()
        total = self._state.books[order.market_id].remove(order)
        del self._state.accounts[order.account].working[order.market_id][order.order_id]
        self._publish_book(order, market, delta=-order.remaining, total=total)

    def cancel(self, order: Order, reason: UpdateReason) -> int:
        """End an order that rests, waits for its trigger or trades right now; return the contracts taken off it."""
        taken = order.remaining
        if order.order_id in self._state.accounts[order.account].working.get(order.market_id, {}):
            market = self._state.markets[order.market_id]
            market.clock = self._state.next_operation()
            total = self._state.books[order.market_id].remove(order)
            self._publish_book(order, market, delta=-taken, total=total)
        self._end(order, reason)
        return taken

    def shrink(self, order: Order, size: int, *, reason: UpdateReason) -> None:
        """Take `size` contracts, fewer than remain, off a resting order; it keeps its place."""
        state = self._state
        market = state.markets[order.market_id]
        market.clock = state.next_operation()
        total = state.books[order.market_id].reduce(order, size)
        order.reason = reason
        order.updated_ns = state.now_ns
        state.accounts[order.account].hold(market.spec)
        self._publish_book(order, market, delta=-size, total=total)
        state.order_changed(order)

    def end_unfilled(self, order: Order, reason: UpdateReason) -> None:
        """End an order that was accepted but never reached the book; nothing of it was filled."""
        self._end(order, reason)

    def _end(self, order: Order, reason: UpdateReason) -> None:
        state = self._state
        account = state.accounts[order.account]
        order.status = "ended"
        order.reason = reason
        order.remaining = 0
        order.updated_ns = state.now_ns
        account.working.get(order.market_id, {}).pop(order.order_id, None)
        state.pending.pop(order.order_id, None)
        if state.hook:
            state.hook.ended(order)
        account.hold(state.markets[order.market_id].spec)
        state.order_changed(order)
        if account.internal:
            state.ledger.forget(order)

    def withdraw(self, order: Order) -> None:
        """End an order by the venue's own rules; nothing for one that has ended."""
        if order.status != "ended":
            self.cancel(order, "cancelled")

    def enforce_margin(self, account: Account, market: Market) -> None:
        """Cancel the newest orders that draw on the market's cash account until the reserves are covered.

        Many tiny fills can cost more than `fee_bound` reserved. Which orders the venue cancels is an *assumption*.
        """
        cash_account = market.spec.cash_account
        while account.available(cash_account) < 0 < account.reserved.get(cash_account, 0):
            resting = [order for orders in account.working.values() for order in orders.values()]
            drawing = [o for o in resting if self._state.markets[o.market_id].spec.cash_account == cash_account]
            if not drawing:
                break
            self.cancel(max(drawing, key=lambda order: order.sequence), "margin")
        if market.spec.kind == "perpetual":
            self._state.cover(account, cash_account)

    def _publish_book(self, order: Order, market: Market, *, delta: int, total: int) -> None:
        state = self._state
        market.updated_ns = state.now_ns
        if order.side == "bid":
            market.quoted_bid = True
        else:
            market.quoted_ask = True
        state.events.append(
            BookChange(
                market_id=order.market_id,
                side=order.side,
                price=order.price,
                delta=delta,
                total=total,
                clock=market.clock,
                ns=state.now_ns,
                account=order.account,
                client_order_id=order.client_order_id,
            )
        )
