"""What stream clients subscribe to, and what is published to them: by channel, by market, by account.

A venue reads its own commands, answers them, and writes the frames; here is who gets what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.sandbox.serving.websocket import Conversation, Frame, StreamSession

Seen = frozenset[str] | None
"""The ids of the accounts that a connection may see; None means all."""


@dataclass(eq=False)
class Subscription:
    """One channel of one connection, by a number that is its own there. `markets` is None when all are wanted.

    `choices` are what else the client asked for, in the venue's words. `seq` is the last number used.
    """

    sid: int
    channel: str
    markets: list[str] | None = None
    choices: frozenset[str] = frozenset()
    seq: int = 0

    def next_seq(self) -> int:
        """The number of the next frame, from 1; the call uses it up."""
        self.seq += 1
        return self.seq

    def add(self, markets: Iterable[str]) -> list[str]:
        """Want these markets, too; returns those that are new, in order."""
        if self.markets is None:
            return []
        fresh = [market for market in dict.fromkeys(markets) if market not in self.markets]
        self.markets += fresh
        return fresh

    def drop(self, markets: Iterable[str]) -> bool:
        """Want these markets no longer; False, and nothing changes, when all markets are wanted."""
        if self.markets is None:
            return False
        dropped = set(markets)
        self.markets = [market for market in self.markets if market not in dropped]
        return True


@dataclass(frozen=True)
class Publication:
    """One message, of the type `kind`, for the subscribers of `channel`.

    `market` narrows it to those who want that market, `account` to the connections that may see that account. The
    members of `tailored` depend on the subscription, and on what its connection may see.
    """

    channel: str
    kind: str
    message: Mapping[str, Any]
    market: str = ""
    account: str = ""
    tailored: Callable[[Subscription, Seen], Mapping[str, Any]] | None = None

    def audience(
        self, subscriptions: Iterable[Subscription], seen: Seen, *, session: StreamSession
    ) -> Iterator[Subscription]:
        """Those subscriptions of one connection that get this, without those for which a fault mutes it.

        Number a frame when its subscription comes: what is muted takes no number.
        """
        if not may_see(seen, self.account):
            return
        target = {"type": self.kind, "channel": self.channel, "market": self.market}
        for one in list(subscriptions):
            wanted = not self.market or one.markets is None or self.market in one.markets
            if one.channel == self.channel and wanted and not session.is_muted(target):
                yield one

    def message_for(self, subscription: Subscription, seen: Seen) -> dict[str, Any]:
        """The message for one of the audience, as a copy of its own."""
        tailored = self.tailored(subscription, seen) if self.tailored is not None else {}
        return {**self.message, **tailored}


class Publishing(Conversation, Protocol):
    """The venue's side of a connection that is published to."""

    def publish(self, publication: Publication) -> None:
        """Queue a publication for those subscriptions of the connection that it reaches."""
        ...


def may_see(seen: Seen, account: str) -> bool:
    """True when a connection may see what concerns this account; "" concerns nobody's in particular."""
    return not account or seen is None or account in seen


def data_frame(message: dict[str, Any], subscription: Subscription, *, kind: str, market: str) -> Frame:
    """A frame of data that a subscription gets; faults may lose or double it, and a full queue may refuse it.

    It counts as numbered when the message has a `seq`.
    """
    target = {"type": kind, "channel": subscription.channel, "market": market}
    return Frame(message, target, owner=subscription, is_data=True, is_numbered="seq" in message)
