"""What happens to an order once it is admitted: it trades, rests, shrinks or ends.

Books, accounts and events change together.
"""

from connectors.sandbox.engine.accounts import Account
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.events import BookChange, FillEvent, TradePrint
from connectors.sandbox.engine.fees import fill_fee, trade_fee
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
            elif order.tif != "gtc":
                self._end(order, "unfilled")
            else:
                self._rest(order, market)
        self._enforce_margin(state.accounts[order.account], market)
        return fills

    def _match(self, taker: Order, market: Market) -> tuple[Fill, ...]:
        book = self._state.books[taker.market_id]
        fills: list[Fill] = []
        far = opposite(taker.side)
        while taker.remaining and taker.status == "open" and book.crosses(taker.side, taker.price):
            maker = book.head(far)
            if maker is None:
                break
            if maker.account != taker.account:
                fills.append(self._trade(taker, maker, market=market, book=book))
            elif taker.self_trade == "maker":
                self.cancel(maker, "self_trade")
            else:
                self._end(taker, "self_trade")
        return tuple(fills)

    def _trade(self, taker: Order, maker: Order, *, market: Market, book: Book) -> Fill:
        state = self._state
        size = min(taker.remaining, maker.remaining)
        price = maker.price
        trade_id = state.new_id()
        taker.remaining -= size
        total = book.reduce(maker, size)
        self._publish_book(maker, market, delta=-size, total=total)
        # Open interest is the sum of the long positions; only these two accounts change.
        before = max(0, state.accounts[taker.account].position(market.market_id).net)
        before += max(0, state.accounts[maker.account].position(market.market_id).net)
        # The maker's fill comes first; the venue documents no order of the two (assumption).
        maker_fill = self._book_fill(maker, trade_id, price=price, size=size, is_taker=False)
        taker_fill = self._book_fill(taker, trade_id, price=price, size=size, is_taker=True)
        market.open_interest += max(0, maker_fill.position) + max(0, taker_fill.position) - before
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
        self._enforce_margin(state.accounts[maker.account], market)
        return taker_fill

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
        trade = trade_fee(spec, price, size=size, taker=is_taker)
        fee = fill_fee(spec.fees, flows[spec.cash_account], trade=trade, accumulated=order.rounding)
        order.rounding = fee.accumulated
        flows[spec.cash_account] -= fee.total
        account.apply(flows)
        position.fees += fee.total
        state.fees_collected[spec.cash_account] = state.fees_collected.get(spec.cash_account, 0) + fee.total
        order.filled += size
        order.updated_ns = state.now_ns
        if is_taker:
            order.taker_cost += price * size
            order.taker_fees += fee.total
        else:
            order.maker_cost += price * size
            order.maker_fees += fee.total
        account.hold(spec)
        return self._publish_fill(order, trade_id, price=price, size=size, is_taker=is_taker, fee=fee.total)

    def _publish_fill(self, order: Order, trade_id: str, *, price: int, size: int, is_taker: bool, fee: int) -> Fill:
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
            fee=fee,
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

    def take_out(self, order: Order) -> None:
        """Take a resting order out of the book so that it can run again; its reserve stays until `run` ends."""
        market = self._state.markets[order.market_id]
        market.clock = self._state.next_operation()
        total = self._state.books[order.market_id].remove(order)
        del self._state.accounts[order.account].working[order.market_id][order.order_id]
        self._publish_book(order, market, delta=-order.remaining, total=total)

    def cancel(self, order: Order, reason: UpdateReason) -> int:
        """End a resting order; return the contracts taken off it."""
        market = self._state.markets[order.market_id]
        market.clock = self._state.next_operation()
        total = self._state.books[order.market_id].remove(order)
        taken = order.remaining
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
        if state.hook:
            state.hook.ended(order)
        account.hold(state.markets[order.market_id].spec)
        state.order_changed(order)
        if account.internal:
            state.ledger.forget(order)

    def withdraw(self, order: Order) -> None:
        """End an order by the venue's own rules, also one that is trading right now; nothing for one that has ended."""
        if order.status == "ended":
            return
        # An order that is trading right now is not in the book: it only ends.
        if order.order_id in self._state.accounts[order.account].working.get(order.market_id, {}):
            self.cancel(order, "cancelled")
        else:
            self._end(order, "cancelled")

    def _enforce_margin(self, account: Account, market: Market) -> None:
        """Cancel the newest orders that draw on the market's cash account until the reserves are covered.

        Many tiny fills can cost more than `fee_bound` reserved. Which orders the venue cancels is an *assumption*.
        """
        cash_account = market.spec.cash_account
        while account.available(cash_account) < 0 < account.reserved.get(cash_account, 0):
            resting = [order for orders in account.working.values() for order in orders.values()]
            drawing = [o for o in resting if self._state.markets[o.market_id].spec.cash_account == cash_account]
            self.cancel(max(drawing, key=lambda order: order.sequence), "margin")

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
