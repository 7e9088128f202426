"""The state and history of an exchange as plain data, for an administrator to compare with what a client recorded."""

from typing import Any

import msgspec

from connectors.sandbox.engine.accounts import account_problems
from connectors.sandbox.engine.collateral import COLLATERAL
from connectors.sandbox.engine.exchange import Exchange
from connectors.sandbox.engine.model import Market

Json = dict[str, Any]


def report(exchange: Exchange) -> Json:
    """Every order ever accepted from outside with its final state, fills, settlements, positions and balances.

    Numbers are the engine's integers; `decimals` gives the scale of each market's prices and sizes. Internal accounts
    are left out. Everything in it can be written as JSON; `problems` is the list that `problems` returns.
    """
    state = exchange.state
    external = [account for account in state.accounts.values() if not account.internal]
    names = {account.account_id for account in external}
    return {
        "now_ns": state.now_ns,
        "phase": state.phase,
        "decimals": {
            market_id: {"price": market.spec.price_decimals, "size": market.spec.size_decimals}
            for market_id, market in state.markets.items()
        },
        "orders": [msgspec.to_builtins(order) for order in exchange.ledger.orders.values() if order.account in names],
        "fills": [msgspec.to_builtins(fill) for fill in exchange.ledger.fills],
        "settlements": [msgspec.to_builtins(settlement) for settlement in exchange.ledger.settlements],
        "cash_flows": [msgspec.to_builtins(flow) for flow in exchange.ledger.cash_flows],
        "positions": {account.account_id: msgspec.to_builtins(account.positions) for account in external},
        "balances": {
            account.account_id: {
                "cash": dict(account.cash),
                "reserved": dict(account.reserved),
                "deposits": dict(account.deposits),
            }
            for account in external
        },
        "markets": {market_id: _market(market) for market_id, market in state.markets.items()},
        "problems": problems(exchange),
    }


def _market(market: Market) -> Json:
    return {
        "status": market.status,
        "clock": market.clock,
        "volume": market.volume,
        "open_interest": market.open_interest,
        "result": market.result,
    }


def problems(exchange: Exchange) -> list[str]:
    """One line for each thing that does not add up; empty when nothing is wrong.

    Checked: each account (`account_problems`), each market (`_market_problems`), and per cash account or asset
    deposits = balances + fees collected + what open positions hold.
    """
    state = exchange.state
    found = [line for account in state.accounts.values() for line in account_problems(account, state.markets)]
    held: dict[str, int] = {}
    for market in state.markets.values():
        spec = market.spec
        positions = [a.positions[spec.market_id] for a in state.accounts.values() if spec.market_id in a.positions]
        found += _market_problems(exchange, market, [position.net for position in positions])
        held[spec.cash_account] = held.get(spec.cash_account, 0) + COLLATERAL[spec.kind].held(spec, positions)
    for currency in sorted({name for account in state.accounts.values() for name in account.cash}):
        deposits = sum(account.deposits.get(currency, 0) for account in state.accounts.values())
        cash = sum(account.cash.get(currency, 0) for account in state.accounts.values())
        accounted = cash + state.fees_collected.get(currency, 0) + held.get(currency, 0)
        if accounted != deposits:
            found.append(f"cash account {currency}: {accounted} accounted for, {deposits} deposited")
    return found


def _market_problems(exchange: Exchange, market: Market, nets: list[int]) -> list[str]:
    """No book crossed, positions sum to nothing, open interest is the sum of the long ones."""
    found = []
    book = exchange.state.books[market.market_id]
    bid, ask = book.best("bid"), book.best("ask")
    if bid is not None and ask is not None and bid >= ask:
        found.append(f"{market.market_id}: book crossed, bid {bid} ask {ask}")
    if sum(nets) != 0:
        found.append(f"{market.market_id}: positions sum to {sum(nets)}, expected 0")
    if market.status != "finalized" and sum(net for net in nets if net > 0) != market.open_interest:
        found.append(f"{market.market_id}: open interest {market.open_interest} differs from the positions")
    return found
