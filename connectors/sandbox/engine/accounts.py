"""Accounts: balances, reserves and positions, and the check that they add up."""

from collections.abc import Mapping

from connectors.sandbox.engine.collateral import COLLATERAL, Flows
from connectors.sandbox.engine.model import Market, MarketSpec, Order, Position


class Account:
    """One member's balances, reserves, positions and resting orders.

    Balances are kept by cash account ("USD", "USD#2") as money, and by base asset ("BTC") in sizes. `cash` is what is
    there without what positions have cost; `reserved` the part of it that resting orders and margins hold back;
    `deposits` what came from outside, `fees` what fills were charged, `transfers` what came without a trade (funding,
    liquidations). `working` has the resting orders by market and order id, oldest first. Internal accounts are the
    order flow's: they emit no private events and leave no history.
    """

    def __init__(self, account_id: str, cash: Mapping[str, int], *, internal: bool = False) -> None:
        self.account_id = account_id
        self.internal = internal
        self.cash: dict[str, int] = dict(cash)
        self.deposits: dict[str, int] = dict(cash)
        self.reserved: dict[str, int] = {}
        self.fees: dict[str, int] = {}
        self.transfers: dict[str, int] = {}
        self.positions: dict[str, Position] = {}
        self.working: dict[str, dict[str, Order]] = {}
        self._reserved_by_market: dict[str, Flows] = {}

    def available(self, cash_account: str) -> int:
        """What new orders may draw on: the balance less the reserves. Never negative between two acts."""
        return self.cash.get(cash_account, 0) - self.reserved.get(cash_account, 0)

    def deposit(self, cash_account: str, amount: int) -> None:
        """Add balance from outside, or withdraw it with a negative amount; nothing is checked."""
        self.cash[cash_account] = self.cash.get(cash_account, 0) + amount
        self.deposits[cash_account] = self.deposits.get(cash_account, 0) + amount

    def position(self, market_id: str) -> Position:
        """The position in a market, by its id; an empty one is made when first asked for."""
        position = self.positions.get(market_id)
        if position is None:
            position = self.positions[market_id] = Position()
        return position

    def apply(self, flows: Flows) -> None:
        """Add signed balance changes to `cash`; they are trading results, so `deposits` stays."""
        for cash_account, change in flows.items():
            self.cash[cash_account] = self.cash.get(cash_account, 0) + change

    def charge(self, currency: str, fee: int) -> None:
        """Take the fee of a fill; a negative one is a rebate."""
        self.cash[currency] = self.cash.get(currency, 0) - fee
        self.fees[currency] = self.fees.get(currency, 0) + fee

    def transfer(self, currency: str, amount: int) -> None:
        """Add what another account pays without a trade, or take what this one pays."""
        self.cash[currency] = self.cash.get(currency, 0) + amount
        self.transfers[currency] = self.transfers.get(currency, 0) + amount

    def shortfall(self, spec: MarketSpec, order: Order, *, fee: int) -> int:
        """By how much the balance misses what `order` would reserve on top of the present reserves, plus `fee`.

        `fee` is money. Zero means that it is covered, as is an order that needs nothing more. An order that already
        rests (an amend) is counted once, with its new terms.
        """
        held = self._reserved_by_market.get(spec.market_id, {})
        others = [o for o in self.working.get(spec.market_id, {}).values() if o.order_id != order.order_id]
        needed = COLLATERAL[spec.kind].reserve(spec, [*others, order], position=self.position(spec.market_id))
        worst = 0
        for cash_account, amount in needed.items():
            charge = fee if cash_account == spec.cash_account else 0
            extra = amount - held.get(cash_account, 0) + charge
            if extra > 0:
                worst = max(worst, extra - self.available(cash_account))
        return worst

    def hold(self, spec: MarketSpec) -> None:
        """Bring the reserve of one market up to date. Call it after any change of its orders or of the position."""
        market_id = spec.market_id
        working = self.working.get(market_id)
        position = self.position(market_id)
        idle = not working and position.margin == 0
        needed = {} if idle else COLLATERAL[spec.kind].reserve(spec, (working or {}).values(), position=position)
        for cash_account, amount in self._reserved_by_market.get(market_id, {}).items():
            self.reserved[cash_account] -= amount
        for cash_account, amount in needed.items():
            self.reserved[cash_account] = self.reserved.get(cash_account, 0) + amount
        self._reserved_by_market[market_id] = needed


def account_problems(account: Account, markets: Mapping[str, Market]) -> list[str]:
    """One line for each thing that does not add up in one account; empty when nothing is wrong.

    Checked per cash account and base asset: the balance is deposits - fees + transfers + what trades have changed, and
    the reserves are those that a fresh count gives.
    """
    problems: list[str] = []
    expected = dict(account.deposits)
    for currency in account.fees.keys() | account.transfers.keys():
        earned = account.transfers.get(currency, 0) - account.fees.get(currency, 0)
        expected[currency] = expected.get(currency, 0) + earned
    fresh: dict[str, int] = {}
    for market_id, market in markets.items():
        spec = market.spec
        position = account.positions.get(market_id, Position())
        collateral = COLLATERAL[spec.kind]
        for currency, change in collateral.traded(spec, position).items():
            expected[currency] = expected.get(currency, 0) + change
        orders = account.working.get(market_id, {}).values()
        for currency, amount in collateral.reserve(spec, orders, position=position).items():
            fresh[currency] = fresh.get(currency, 0) + amount
    problems += _differences(f"{account.account_id} cash", account.cash, expected=expected)
    problems += _differences(f"{account.account_id} reserved", account.reserved, expected=fresh)
    return problems


def _differences(name: str, actual: Flows, *, expected: Flows) -> list[str]:
    return [
        f"{name} {cash_account}: is {actual.get(cash_account, 0)}, should be {expected.get(cash_account, 0)}"
        for cash_account in sorted(expected.keys() | actual.keys())
        if actual.get(cash_account, 0) != expected.get(cash_account, 0)
    ]
