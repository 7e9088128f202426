"""The commands of a stream client, and the subscriptions that they make. No socket here.

`CommandHandler.handle` takes one text frame and answers through `send`; the socket side and the publisher share the
same handler, so that acknowledgement, snapshot and deltas of a subscription leave in one order. Error codes and their
texts are the vendor's. *Assumptions*, because the venue documents nothing: a second subscribe to a channel makes a
second subscription; an unknown market is answered with code 11; channels of one command succeed or fail each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import msgspec

from connectors.kalshi.sandbox.render.market_view import MarketView
from connectors.kalshi.sandbox.render.markets import snapshot_message, ticker_message
from connectors.sandbox.serving.rest import NOT_JSON
from connectors.sandbox.serving.subscriptions import Subscription

ERROR_TEXTS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    25: "Subscription buffer overflow",
}


@dataclass(frozen=True)
class ChannelRule:
    """Whether a channel's frames carry `seq`, and whether it may, must or cannot be narrowed to markets."""

    sequenced: bool
    filter: Literal["required", "optional", "none"] = "none"


# Vendor docs. The last four can be subscribed to and stay silent: the sandbox does not simulate what they carry.
CHANNELS = {
    "orderbook_delta": ChannelRule(True, "required"),
    "trade": ChannelRule(True, "optional"),
    **dict.fromkeys(("ticker", "fill", "user_orders", "market_positions"), ChannelRule(False, "optional")),
    **dict.fromkeys(("market_lifecycle_v2", "order_group_updates"), ChannelRule(True)),
    **dict.fromkeys(("multivariate_market_lifecycle", "communications"), ChannelRule(True)),
    **dict.fromkeys(("cfbenchmarks_value", "cfbenchmarks_value_5hz", "pyth_value"), ChannelRule(True)),
}
# What a client may choose for a subscription besides its markets (vendor docs).
CHOICES = ("use_yes_price", "skip_ticker_ack")


@dataclass(eq=False)
class CommandRefused(Exception):
    """A command that is answered with an error frame.

    `code` is one of ERROR_TEXTS; `subscription` is set when the error belongs to one; `markets` are the unknown ones.
    """

    code: int
    subscription: Subscription | None = None
    markets: Sequence[str] = ()


Send = Callable[[dict[str, Any], Subscription | None], None]


class CommandHandler:
    """The subscriptions of one connection, by sid, and the commands that change them.

    `send(frame, subscription)` queues a frame; `subscription` is None for frames that belong to none.
    """

    def __init__(self, source: MarketView, send: Send) -> None:
        self._source = source
        self._send = send
        self._sids = count(1)
        self.subscriptions: dict[int, Subscription] = {}
        self._commands: dict[str, Callable[[int, Any], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
            "list_subscriptions": self._list,
        }

    def handle(self, text: str) -> None:
        """Answer one command. Never raises on what a client sends."""
        try:
            command = msgspec.json.decode(text, type=dict[str, Any])
        except NOT_JSON:
            self._refuse(0, CommandRefused(1))
            return
        number = command.get("id")
        number = number if isinstance(number, int) and not isinstance(number, bool) else 0
        action = self._commands.get(str(command.get("cmd")))
        params = command.get("params")
        try:
            if action is None:
                raise CommandRefused(5)
            if not isinstance(params, dict) and action != self._list:
                raise CommandRefused(2)
            action(number, params)
        except CommandRefused as refusal:
            self._refuse(number, refusal)

    def end(self, subscription: Subscription) -> None:
        """Finish a subscription for which the queue is full (error 25, vendor docs); the connection stays."""
        if self.subscriptions.pop(subscription.sid, None) is not None:
            self._refuse(0, CommandRefused(25, subscription))

    def _refuse(self, number: int, refusal: CommandRefused) -> None:
        frame: dict[str, Any] = {"type": "error"} | _id(number)
        if refusal.subscription is not None:
            frame |= numbered(refusal.subscription)
        frame["msg"] = {"code": refusal.code, "msg": ERROR_TEXTS[refusal.code]}
        if refusal.markets:
            frame["msg"]["market_tickers"] = refusal.markets
        self._send(frame, None)

    def _subscribe(self, number: int, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandRefused(3)
        fresh = []
        for channel in channels:
            try:
                fresh.append(self._subscribe_channel(number, channel, params=params))
            except CommandRefused as refusal:
                self._refuse(number, refusal)
        for subscription in fresh:
            self._show(subscription, subscription.markets or [], params=params)

    def _subscribe_channel(self, number: int, channel: object, *, params: dict[str, Any]) -> Subscription:
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise CommandRefused(8)
        rule = CHANNELS[channel]
        markets = self._markets(channel, params) if rule.filter != "none" else None
        if markets is None and rule.filter == "required":
            raise CommandRefused(14)
        choices = frozenset(one for one in CHOICES if params.get(one) is True)
        subscription = Subscription(next(self._sids), channel, markets, choices)
        self.subscriptions[subscription.sid] = subscription
        ack = {"type": "subscribed"} | _id(number) | {"msg": {"channel": channel, "sid": subscription.sid}}
        self._send(ack, None)
        return subscription

    def _unsubscribe(self, number: int, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandRefused(4)
        for sid in sids:
            subscription = self.subscriptions.pop(sid, None) if isinstance(sid, int) else None
            if subscription is None:
                self._refuse(number, CommandRefused(7))
                continue
            ended = {"sid": subscription.sid, "seq": subscription.next_seq()}
            self._send({"type": "unsubscribed"} | _id(number) | ended, None)

    def _list(self, number: int, _params: object) -> None:
        listed = [{"channel": one.channel, "sid": one.sid} for one in self.subscriptions.values()]
        self._send({"type": "ok"} | _id(number) | {"msg": listed}, None)

    def _update(self, number: int, params: dict[str, Any]) -> None:
        subscription = self._one_subscription(params)
        action = params.get("action")
        if not action:
            raise CommandRefused(15)
        if not isinstance(action, str):
            raise CommandRefused(11)
        rule = CHANNELS[subscription.channel]
        allowed = {"add_markets", "delete_markets"} if rule.filter != "none" else set()
        if subscription.channel == "orderbook_delta":
            allowed.add("get_snapshot")
        if action not in allowed:
            raise CommandRefused(13, subscription)
        markets = self._markets(subscription.channel, params)
        if markets is None:
            raise CommandRefused(14, subscription)
        if action == "get_snapshot":
            self._show(subscription, markets, params=params, number=number)
            return
        fresh = subscription.add(markets) if action == "add_markets" else []
        if action == "delete_markets" and not subscription.drop(markets):
            raise CommandRefused(11, subscription)
        listed = {"market_tickers": list(subscription.markets or [])}
        body = {} if "skip_ticker_ack" in subscription.choices else listed
        self._send({"type": "ok"} | _id(number) | numbered(subscription) | {"msg": body}, None)
        self._show(subscription, fresh, params=params)

    def _show(self, subscription: Subscription, markets: list[str], *, params: dict[str, Any], number: int = 0) -> None:
        """Snapshots of `markets` where the channel has them; `number` is set on the replies to get_snapshot."""
        for ticker in markets:
            listed = self._source.listed(ticker)
            frame: dict[str, Any]
            if subscription.channel == "orderbook_delta":
                frame = {"type": "orderbook_snapshot"} | _id(number) | numbered(subscription)
                frame["msg"] = snapshot_message(listed, use_yes_price="use_yes_price" in subscription.choices)
            elif subscription.channel == "ticker" and params.get("send_initial_snapshot") is True:
                frame = {"type": "ticker", "sid": subscription.sid, "msg": ticker_message(listed)}
            else:
                return
            self._send(frame, subscription)

    def _one_subscription(self, params: dict[str, Any]) -> Subscription:
        sids = params.get("sids") if "sids" in params else [params["sid"]] if "sid" in params else []
        if not isinstance(sids, list) or len(sids) != 1 or ("sid" in params and "sids" in params):
            raise CommandRefused(12)
        subscription = self.subscriptions.get(sids[0]) if isinstance(sids[0], int) else None
        if subscription is None:
            raise CommandRefused(7)
        return subscription

    def _markets(self, channel: str, params: dict[str, Any]) -> list[str] | None:
        """The markets named in `params`, or None when none are."""
        given = [name for name in ("market_ticker", "market_tickers", "market_id", "market_ids") if params.get(name)]
        if not given:
            return None
        name = given[0]
        by_uuid = name.startswith("market_id")
        if len(given) > 1 or (by_uuid and channel != "ticker"):
            raise CommandRefused(11)
        value = params[name]
        names = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in names):
            raise CommandRefused(11)
        tickers = [self._source.catalog.ticker_of(one) or one for one in names] if by_uuid else names
        unknown = [ticker for ticker in tickers if not self._source.exists(ticker)]
        if unknown:
            raise CommandRefused(11, markets=unknown)
        return list(dict.fromkeys(tickers))


def numbered(subscription: Subscription) -> dict[str, int]:
    """The members `sid` and, on a sequenced channel, the next `seq`, which is used up by the call."""
    named = {"sid": subscription.sid}
    return named | {"seq": subscription.next_seq()} if CHANNELS[subscription.channel].sequenced else named


def _id(number: int) -> dict[str, int]:
    return {"id": number} if number else {}
