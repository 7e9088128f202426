"""The subscriptions of one connection: commands out, acknowledgements in. Pure.

Each channel is subscribed by a command of its own, so that an error names one channel. Vendor docs: one subscription
id per channel, and the acknowledgement comes before any data. Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

BOOK = "orderbook_delta"
TRADE = "trade"
TICKER = "ticker"
FILL = "fill"
ORDERS = "user_orders"
POSITIONS = "market_positions"
LIFECYCLE = "market_lifecycle_v2"
GROUPS = "order_group_updates"

ACCOUNT_CHANNELS = frozenset({FILL, ORDERS})
"""Without these, own fills and orders are not seen: the venue counts as down until both are subscribed."""

_BY_MARKET = frozenset({BOOK, TRADE, TICKER})
_ENCODER = msgspec.json.Encoder()
# A subscription that ends at once every time is not asked for more often than this.
_RESUBSCRIBE_NS = 1_000_000_000


class Pending(msgspec.Struct, frozen=True):
    """A command without a response yet; `channel` is what it subscribes, empty for other commands."""

    channel: str
    sent_ns: int


class Subscriptions:
    """Which channel has which id, and which commands wait for a response. `send` queues one text frame.

    Command ids count up from 1; the venue repeats them in its response.
    """

    def __init__(self, channels: Sequence[str], send: Callable[[bytes], None]) -> None:
        self._send = send
        self._next_id = 1
        self._wanted = dict.fromkeys(channels)
        self._pending: dict[int, Pending] = {}
        self._sids: dict[str, int] = {}
        self.channels: dict[int, str] = {}
        """The channel of each live subscription, by its id. Written here only."""
        self._asked: dict[str, set[str]] = {}
        self._not_before_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Subscriptions sids={self._sids} pending={len(self._pending)}>"

    def is_live(self, channels: Collection[str]) -> bool:
        """Whether each of these channels was acknowledged and has not ended since."""
        return all(channel in self._sids for channel in channels)

    def oldest_pending_ns(self) -> int | None:
        """When the oldest command without a response was sent; None when there is none."""
        return min((one.sent_ns for one in self._pending.values()), default=None)

    def sync(self, markets: Collection[str], *, now_ns: int) -> tuple[str, ...]:
        """Ask for every wanted channel that neither runs nor is asked for, and for markets not yet on it; take those
        off it that are not in `markets` any more.

        A channel that ended is asked for again after a second at the earliest. Returns the tickers whose books were
        newly asked for. Raises what `send` raises, as every command does.
        """
        under_way = {one.channel for one in self._pending.values()}
        new_books: tuple[str, ...] = ()
        for channel in self._wanted:
            if channel in under_way:
                continue
            is_by_market = channel in _BY_MARKET
            if channel not in self._sids:
                if now_ns < self._not_before_ns.get(channel, now_ns) or (is_by_market and not markets):
                    continue
                missing = list(markets) if is_by_market else []
                self._subscribe(channel, missing, now_ns)
            elif is_by_market:
                missing = [ticker for ticker in markets if ticker not in self._asked[channel]]
                if missing:
                    self._change_markets(channel, "add_markets", missing, now_ns)
                self._leave(channel, markets, now_ns)
            else:
                continue
            if channel == BOOK:
                new_books = tuple(missing)
        return new_books

    def get_snapshot(self, markets: Collection[str]) -> None:
        """Ask for whole books. The responses are snapshots, so no acknowledgement of the command is awaited."""
        if markets and BOOK in self._sids:
            params = {"sids": [self._sids[BOOK]], "action": "get_snapshot", "market_tickers": list(markets)}
            self._send(self._frame("update_subscription", params))

    def probe(self, *, now_ns: int) -> None:
        """Ask for the list of subscriptions: the response proves that the venue still reads, and carries its time."""
        self._command("list_subscriptions", {}, "", now_ns)

    def drop(self, channel: str) -> int | None:
        """Unsubscribe; what still comes under the old id is counted as stray. Returns the id, None without one."""
        sid = self.ended(channel)
        if sid is not None:
            self._send(self._frame("unsubscribe", {"sids": [sid]}))
        return sid

    def ended(self, channel: str) -> int | None:
        """Mark a channel as ended, so that `sync` asks for it again. Returns the id it had, None without one."""
        sid = self._sids.pop(channel, None)
        if sid is not None:
            self.channels.pop(sid, None)
        return sid

    def stop_asking(self, channel: str) -> None:
        """Stop asking for a channel that the venue refuses; for those that are not needed."""
        self._wanted.pop(channel, None)

    def acknowledge(self, command_id: int, channel: str, sid: int) -> Pending | None:
        """Take the acknowledgement of a channel. Returns its command, None when it was not asked for."""
        pending = self._pending.get(command_id)
        if pending is None or pending.channel != channel:
            return None
        del self._pending[command_id]
        self._sids[channel] = sid
        self.channels[sid] = channel
        return pending

    def complete(self, command_id: int) -> Pending | None:
        """Take the response to a command, a success or an error. Returns the command, None for an unknown id."""
        return self._pending.pop(command_id, None)

    def _subscribe(self, channel: str, markets: list[str], now_ns: int) -> None:
        params: dict[str, object] = {"channels": [channel]}
        if markets:
            params["market_tickers"] = markets
            self._asked[channel] = set(markets)
        if channel == BOOK:
            # The venue's default will change (vendor docs), so the choice is always sent.
            params["use_yes_price"] = True
        self._not_before_ns[channel] = now_ns + _RESUBSCRIBE_NS
        self._command("subscribe", params, channel, now_ns)

    def _leave(self, channel: str, markets: Collection[str], now_ns: int) -> None:
        """Take markets off a channel that are not wanted any more. The last one stays until there is another: what a
        subscription without markets is, is not documented."""
        gone = sorted(self._asked[channel].difference(markets))
        if gone and len(gone) < len(self._asked[channel]):
            self._change_markets(channel, "delete_markets", gone, now_ns)

    def _change_markets(self, channel: str, action: str, markets: list[str], now_ns: int) -> None:
        asked = self._asked[channel]
        self._asked[channel] = asked.difference(markets) if action == "delete_markets" else asked.union(markets)
        params = {"sids": [self._sids[channel]], "action": action, "market_tickers": markets}
        self._command("update_subscription", params, "", now_ns)

    def _command(self, name: str, params: Mapping[str, object], channel: str, now_ns: int) -> None:
        self._pending[self._next_id] = Pending(channel, now_ns)
        self._send(self._frame(name, params))

    def _frame(self, name: str, params: Mapping[str, object]) -> bytes:
        frame = _ENCODER.encode({"id": self._next_id, "cmd": name, "params": params})
        self._next_id += 1
        return frame
