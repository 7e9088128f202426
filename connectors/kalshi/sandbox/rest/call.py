"""One REST request on its way through the sandbox, and the table row that says who handles it.

Handlers are plain functions from `Call` to `Reply`; they raise `VenueRefusal` for every other answer. There is no await
between a handler's first look at the engine and the publication of what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connectors.kalshi.sandbox import errors
from connectors.kalshi.sandbox.auth import ApiKey
from connectors.kalshi.sandbox.buckets import AUTO_ROUTED, DEFAULT_COST, UNSCOPED
from connectors.kalshi.sandbox.rest import parse
from connectors.kalshi.sandbox.venue import SUBACCOUNTS_MAX, Venue, account_id
from connectors.sandbox.model import Accepted, Rejection

Pool = Literal["read", "write", "balance", "order_write"]


@dataclass(frozen=True)
class Reply:
    """A successful answer; `body` None is sent as an empty body."""

    body: Any
    status: int = 200


@dataclass(frozen=True)
class Call:
    """A request that passed authentication. `now_ns` is unskewed wall time when its last byte had arrived."""

    venue: Venue
    key: ApiKey | None
    params: Mapping[str, str]
    query: Mapping[str, str]
    repeated: Callable[[str], Sequence[str]]
    raw: bytes
    now_ns: int

    def body(self, struct: str) -> parse.Body:
        """The JSON body, named `struct` in decode errors."""
        return parse.decode_body(self.raw, struct)

    def query_of(self, operation: str) -> parse.Query:
        """The query, named `operation` in validation errors."""
        return parse.Query(self.query, operation)

    def account_id(self, subaccount: int | None) -> str:
        """The engine's account that the request acts for.

        None means the key's own subaccount, or the primary. Raises `VenueRefusal`: 400 outside 0..63, 403 when the
        key is locked to another one, `user_not_found` when it was never opened.
        """
        locked = self.key.subaccount if self.key is not None else None
        wanted = subaccount if subaccount is not None else locked or 0
        if not 0 <= wanted <= SUBACCOUNTS_MAX:
            raise errors.nested("invalid_parameters")
        if locked is not None and wanted != locked:
            raise errors.nested("forbidden")
        self.venue.account(wanted)
        return account_id(wanted)

    def accounts(self, subaccount: int | None) -> list[str]:
        """The accounts a listing covers: the named one, else the key's own, else all of the member."""
        if subaccount is None and (self.key is None or self.key.subaccount is None):
            return [account.account_id for account in self.venue.member_accounts()]
        return [self.account_id(subaccount)]

    def charge_write(self, cost: int, shard: int = UNSCOPED) -> None:
        """Draw on the write bucket. Raises the 429 `VenueRefusal`."""
        if not self.venue.buckets.take_write(cost, self.now_ns, shard=shard):
            raise errors.too_many_requests()

    def shard_asked(self, exchange_index: int | None, ticker: str | None) -> int:
        """The write bucket that a single-order write draws on.

        Without an index but with a ticker the venue routes by itself; without both it is shard 0 (vendor docs).
        """
        if exchange_index is None:
            return AUTO_ROUTED if ticker else UNSCOPED
        return exchange_index

    def check_shard(self, exchange_index: int | None, ticker: str) -> None:
        """Refuse a pinned shard on which the market does not live (third-party observations)."""
        if exchange_index is None or exchange_index == AUTO_ROUTED or not self.venue.markets.knows(ticker):
            return
        if exchange_index != self.venue.markets.shard(ticker):
            raise errors.nested("market_not_found")

    def accepted(self, answer: Accepted | Rejection) -> Accepted:
        """The engine's answer when it took the request; publishes events. Raises `VenueRefusal` otherwise."""
        self.venue.settle_events()
        if isinstance(answer, Rejection):
            raise refusal(answer, self.venue.user_id)
        return answer


Handler = Callable[[Call], Reply]


@dataclass(frozen=True)
class Route:
    """One endpoint. `path` is below the REST prefix; `scope` is None for public endpoints.

    Pool `order_write` leaves the charge to the handler, because the shard is named in the body.
    """

    method: str
    path: str
    handler: Handler
    scope: str | None = "read"
    pool: Pool = "read"
    cost: int = DEFAULT_COST


def empty_lists(*names: str) -> Handler:
    """A handler of a paged listing that never has anything: each of `names` is an empty array."""

    def listed(_call: Call) -> Reply:
        return Reply({"cursor": ""} | {name: [] for name in names})

    return listed


def refusal(rejection: Rejection, user_id: str) -> errors.VenueRefusal:
    """The engine's no in the venue's words."""
    code: str = rejection.code
    details = rejection.details
    if code == "user_not_found":
        code = f"user_not_found: {user_id}"
    kept = code in errors.DETAILED_CODES or details == errors.EXPIRED_DETAILS
    return errors.nested(code, details if kept and details else None)
