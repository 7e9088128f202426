"""Turns: how a connector's own requests take their part of the rate budget.

Orders come with their tokens: they were held when the gate approved them. Whatever else a connector sends asks for its
turn first, so that one budget counts everything that the venue counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from framework.domain.rate_limits import RequestKind


class Turn(Protocol):
    """One request that has its tokens. When nothing is said of it, they count as spent."""

    def was_limited(self) -> None:
        """The venue answered that its limit is reached (429): nothing is left of it now."""
        ...

    def not_sent(self) -> None:
        """It is proved that no byte of the request left: its tokens are free."""
        ...


class TakeTurn(Protocol):
    """Gives requests their turn: `async with turn(RequestKind.QUERY, "/orders") as mine: ...`.

    Entering waits until the tokens are there, first come, first served; they are held while the request is under way
    and booked when the block is left, however that happens. `endpoint` is the name under which the connector declared
    a cost of its own (`Cost.endpoint`); `weight` is how often that cost is due. Queries wait behind orders and have a
    part of the flow for themselves. Until the venue's limits are declared, a turn comes at once: declare them before
    the first request. An order that `Gateway.send` was given has its tokens already: no turn for that.
    """

    def __call__(self, kind: RequestKind, endpoint: str = "", weight: int = 1) -> AbstractAsyncContextManager[Turn]: ...


class _AnyTurn:
    def was_limited(self) -> None:
        """Nobody counts."""

    def not_sent(self) -> None:
        """Nobody counts."""


@asynccontextmanager
async def no_limits(kind: RequestKind, endpoint: str = "", weight: int = 1) -> AsyncIterator[Turn]:
    """A turn at once, for a venue without limits and for connectors under test."""
    yield _AnyTurn()
