"""One REST request on its way through the sandbox: what every handler is given.

Handlers are plain functions from `Call` to `Reply`; they raise `Refusal` for every other answer. They never await,
so nothing happens between a handler's first look at the engine and the publication of its act.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.kalshi.sandbox import errors, words
from connectors.kalshi.sandbox.auth import ApiKey
from connectors.kalshi.sandbox.venue import SUBACCOUNTS_MAX, Venue
from connectors.sandbox.engine.model import NS_PER_S, Rejection
from connectors.sandbox.serving.fields import Body, Query, decode_body
from connectors.sandbox.serving.pages import Keyed, by_cursor, clamped
from connectors.sandbox.serving.rest import Arrival, Refusal, Reply

REST_PREFIX = "/trade-api/v2"
EXPIRED_DETAILS = "Expiration timestamp must be in the future"

T = TypeVar("T")
PAGE, PAGE_MAX = 100, 1000
"""Items on a page of most listings: the default, and the most that may be asked for (vendor docs).

A higher number is refused, where other venues would clamp (recorded answer)."""


@dataclass(frozen=True)
class Call:
    """A request that passed authentication; `key` is None on public endpoints."""

    venue: Venue
    key: ApiKey | None
    arrival: Arrival

    @property
    def now_ns(self) -> int:
        """Engine time when the last byte of the request had arrived."""
        return self.arrival.now_ns

    def body(self, struct: str) -> Body:
        """The JSON body, named `struct` in decode errors. Raises `Refusal` 400 when it is no JSON object."""
        return decode_body(self.arrival.raw, struct, errors.COMPLAINTS)

    def query_of(self, operation: str) -> Query:
        """The query, named `operation` in validation errors (the venue names its own operation there)."""
        return Query(self.arrival.query, operation, errors.COMPLAINTS)

    def page(self, query: Query, keyed: Keyed[T], *, size: int = PAGE, most: int = PAGE_MAX) -> tuple[list[T], str]:
        """The page of (key, item) pairs, highest key first, that `limit` and cursor ask for, and the next cursor.

        The cursor is empty on the last page; one that cannot be read gives the first page (recorded answers).
        """
        limit = query.bounded("limit", size, most)
        shown = clamped(limit, limit, faults=self.venue.faults, listing=query.where)
        return by_cursor(keyed, query.values.get("cursor", ""), size=shown)

    def listing(self, name: str, query: Query, keyed: Keyed[T], show: Callable[[T], Any]) -> Reply:
        """One page as most listings answer it: the next cursor, and under `name` what `show` makes of each item."""
        page, cursor = self.page(query, keyed)
        return Reply({"cursor": cursor, name: [show(one) for one in page]})

    def within(self, query: Query, of: str = "") -> Callable[[int], bool]:
        """True for engine times from `min_ts` to `max_ts`, `min_close_ts` of "close_": Unix seconds, inclusive."""
        low, high = query.integer(f"min_{of}ts"), query.integer(f"max_{of}ts")
        to_engine_ns = self.venue.clock.to_engine_ns
        low_ns = None if low is None else to_engine_ns(low * NS_PER_S)
        high_ns = None if high is None else to_engine_ns((high + 1) * NS_PER_S)
        return lambda ns: (low_ns is None or ns >= low_ns) and (high_ns is None or ns < high_ns)

    def account_id(self, subaccount: int | None) -> str:
        """The engine's account that the request acts for.

        None means the key's own subaccount, or the primary. Raises `Refusal`: 400 outside 0..63, 403 when the
        key is locked to another one, `user_not_found` when it was never opened.
        """
        locked = self.key.subaccount if self.key is not None else None
        wanted = subaccount if subaccount is not None else locked or 0
        if not 0 <= wanted <= SUBACCOUNTS_MAX:
            raise errors.nested("invalid_parameters")
        if locked is not None and wanted != locked:
            raise errors.nested("forbidden")
        return self.venue.account_id(wanted)

    def accounts(self, subaccount: int | None) -> list[str]:
        """The ids of the accounts that a listing covers: the named one, else the key's own, else all of the member.

        Raises `Refusal` as `account_id` does.
        """
        if subaccount is None and (self.key is None or self.key.subaccount is None):
            return list(self.venue.served.member_ids)
        return [self.account_id(subaccount)]

    def accepted(self, answer: T | Rejection) -> T:
        """Publish the events of an act and return the engine's answer. Raises `Refusal` for a Rejection."""
        self.venue.publish_events()
        if isinstance(answer, Rejection):
            raise _refusal_of(answer, self.venue.user_id)
        return answer


Handler = Callable[[Call], Reply]


def empty_lists(*names: str) -> Handler:
    """A handler of a paged listing of what the sandbox never has: each of `names` is an empty array."""

    def listed(_call: Call) -> Reply:
        return Reply({"cursor": ""} | {name: [] for name in names})

    return listed


def _refusal_of(rejection: Rejection, user_id: str) -> Refusal:
    code, details = words.CODES[rejection.code], rejection.details
    if code == "user_not_found":
        code = f"user_not_found: {user_id}"
    # The venue is known to spell out the details of these two; all others come without (recorded answers).
    kept = code == "invalid_order" or details == EXPIRED_DETAILS
    return errors.nested(code, details if kept and details else None)
