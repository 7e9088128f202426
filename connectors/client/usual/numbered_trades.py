"""Own trades of venues whose lists go by growing numbers (`fromId`): read on from where the last read ended.

Such a list may name the order of a trade by a number of its own, too: `OrderNumbers` knows whose it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from connectors.client.wire.listing import Listing

TradesFrom = list[tuple[str, str]]
_KEPT = 5_000
_NEVER_MS = 2**63
_ORDERS_KEPT = 50_000
_MISSES_MAX = 3
"""So often are orders read for a number that none of them has."""


class NumberedTrade(Protocol):
    """A row of such a list: its number and its venue time in milliseconds."""

    @property
    def id(self) -> int:
        """The number, which grows with the time."""
        ...

    @property
    def time(self) -> int:
        """When it was made, Unix milliseconds."""
        ...


class NumberedTrades:
    """The trades of each market, read no further back than is asked for.

    `read` reads every page from a number on, oldest first, and without one the newest trades and what follows them.
    """

    def __init__(self, read: Callable[[TradesFrom], Awaitable[Listing[Any]]], *, market: str = "symbol") -> None:
        """`market` is the parameter that names the market."""
        self._read = read
        self._market = market
        self._known: dict[str, list[tuple[int, int]]] = {}
        self._since_ms: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<NumberedTrades markets={len(self._known)}>"

    async def since(self, symbol: str, since_ms: int) -> Listing[Any]:
        """The trades of a market since a venue time, and some that are older. Raises like reads."""
        known, params = self._known.get(symbol, []), [(self._market, symbol)]
        is_first = since_ms < self._since_ms.get(symbol, _NEVER_MS)
        if not is_first and known:
            place = bisect_left([at_ms for _, at_ms in known], since_ms)
            params.append(("fromId", str(known[place][0] if place < len(known) else known[-1][0] + 1)))
        rows = await self._read(params)
        if is_first and rows.rows and rows.rows[0].time >= since_ms:
            # The newest ones reach no further back: the older ones are read, too.
            rows = await self._read([*params, ("fromId", "0")])
        self._keep(symbol, since_ms, dict(known) | {row.id: row.time for row in rows})
        return rows

    def _keep(self, symbol: str, since_ms: int, times_ms: dict[int, int]) -> None:
        kept = self._known[symbol] = sorted(times_ms.items())[-_KEPT:]
        self._since_ms[symbol] = min(self._since_ms.get(symbol, since_ms), since_ms)
        if len(times_ms) > _KEPT:
            self._since_ms[symbol] = kept[0][1] + 1


class OrderNumbers:
    """By which numbers trades name orders: the venue's id of an order by its number, of the newest orders."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._misses: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<OrderNumbers known={len(self._ids)}>"

    def learn(self, number: str | int | None, venue_order_id: str) -> None:
        """Keep the number of an order; none and an empty one say nothing."""
        if number:
            self._ids[str(number)] = venue_order_id
            self._misses.pop(str(number), None)
        if len(self._ids) > _ORDERS_KEPT:
            del self._ids[next(iter(self._ids))]

    def order_of(self, number: str | int) -> str | None:
        """The id of the order that has this number; None while it is not known. The number itself stands for it when
        orders were read for it again and again: then it is no order of ours, as of a liquidation."""
        return self._ids.get(str(number))

    def miss(self, numbers: Iterable[str | int]) -> None:
        """Orders were read for these numbers, and none had them as far as they are not known now."""
        for number in {str(one) for one in numbers if str(one) not in self._ids}:
            self._misses[number] += 1
            if self._misses[number] >= _MISSES_MAX:
                self.learn(number, number)
