"""Frames of Kalshi's WebSocket: those that are used, and which fields the venue documents for each. Pure.

Fields follow the vendor docs. Those that no struct names are ignored; those that are not documented either are found
by `unknown_fields` and counted. Enumerations stay text. `*_dollars` are dollars, `*_fp` contracts, `*_ts` Unix seconds,
`*_ts_ms` Unix milliseconds; `sending_ts_ms` is missing in frames from before October 2026. `seq` 0 means unnumbered.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from connectors.client.wire.json_text import Millis, Seconds


class BookSnapshotMsg(msgspec.Struct, frozen=True, gc=False):
    """A whole book as (price, contracts) of each side. The key of an empty side is missing (recorded answer).

    Raises `ValueError` for one of the older generation, `yes` and `no`: it would be an empty book here.
    """

    market_ticker: str
    yes_dollars_fp: tuple[tuple[str, str], ...] = ()
    no_dollars_fp: tuple[tuple[str, str], ...] = ()
    market_id: str = ""
    clock: int = 0
    yes: Any = None
    no: Any = None

    def __post_init__(self) -> None:
        if (self.yes or self.no) and not (self.yes_dollars_fp or self.no_dollars_fp):
            raise ValueError("a book in cents")


class BookDeltaMsg(msgspec.Struct, frozen=True, gc=False):
    """A change of one level: `delta_fp` is added to its total; a level whose total becomes 0 is gone."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: Millis = 0


class TradeMsg(msgspec.Struct, frozen=True, gc=False):
    """A public trade, with its price in YES terms."""

    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    ts_ms: Millis = 0
    taker_book_side: str = ""
    taker_outcome_side: str = ""
    taker_side: str = ""


class TickerMsg(msgspec.Struct, frozen=True, gc=False):
    """Best quotes and volumes. Nothing here is needed beside the book: it counts as a sign of life."""

    market_ticker: str
    ts_ms: Millis = 0


class FillMsg(msgspec.Struct, frozen=True, gc=False):
    """An own trade, at the price it traded in YES terms; `fee_cost` is dollars."""

    trade_id: str
    order_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    is_taker: bool
    ts_ms: Millis = 0
    client_order_id: str | None = ""
    book_side: str = ""
    outcome_side: str = ""
    subaccount: int = 0


class UserOrderMsg(msgspec.Struct, frozen=True, gc=False):
    """An own order, whole, after each change. Its market is called `ticker` here."""

    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    client_order_id: str | None = ""
    book_side: str = ""
    outcome_side: str = ""
    created_ts_ms: Millis = 0
    last_updated_ts_ms: Millis = 0
    last_update_reason: str = ""
    subaccount_number: int = 0


class PositionMsg(msgspec.Struct, frozen=True, gc=False):
    """The account's net position in one market."""

    market_ticker: str
    position_fp: str
    subaccount: int = 0


class LifecycleMsg(msgspec.Struct, frozen=True, gc=False):
    """A step in a market's life. Which fields are there depends on `event_type`."""

    market_ticker: str
    event_type: str
    close_ts: Seconds | None = None
    is_deactivated: bool | None = None


class OrderGroupMsg(msgspec.Struct, frozen=True, gc=False):
    """A change of an order group; nothing here is used beyond its number."""

    event_type: str
    order_group_id: str


class SubscribedMsg(msgspec.Struct, frozen=True, gc=False):
    """`sid` is the subscription id that the channel's frames will carry."""

    channel: str
    sid: int


class ErrorMsg(msgspec.Struct, frozen=True, gc=False):
    """Why a command failed, or why a subscription ended."""

    code: int
    msg: str = ""


class SnapshotFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="orderbook_snapshot"):
    """A whole book: after subscribing, or as the response to `get_snapshot`."""

    sid: int
    seq: int
    msg: BookSnapshotMsg
    sending_ts_ms: Millis = 0


class DeltaFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="orderbook_delta"):
    """A change of one level of a book."""

    sid: int
    seq: int
    msg: BookDeltaMsg
    sending_ts_ms: Millis = 0


class TradeFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="trade"):
    """A public trade. Streams from before 2026 had no `seq` here."""

    sid: int
    msg: TradeMsg
    seq: int = 0
    sending_ts_ms: Millis = 0


class TickerFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ticker"):
    """Best quotes and volumes of a market; unnumbered."""

    sid: int
    msg: TickerMsg
    seq: int = 0
    sending_ts_ms: Millis = 0


class FillFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="fill"):
    """An own trade; unnumbered."""

    sid: int
    msg: FillMsg
    seq: int = 0
    sending_ts_ms: Millis = 0


class UserOrderFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="user_order"):
    """An own order; unnumbered."""

    sid: int
    msg: UserOrderMsg
    seq: int = 0
    sending_ts_ms: Millis = 0


class PositionFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="market_position"):
    """A net position; unnumbered."""

    sid: int
    msg: PositionMsg
    seq: int = 0
    sending_ts_ms: Millis = 0


class LifecycleFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="market_lifecycle_v2"):
    """A step in a market's life; numbered."""

    sid: int
    seq: int
    msg: LifecycleMsg
    sending_ts_ms: Millis = 0


class OrderGroupFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="order_group_updates"):
    """A change of an order group; numbered."""

    sid: int
    seq: int
    msg: OrderGroupMsg
    sending_ts_ms: Millis = 0


class SubscribedFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="subscribed"):
    """One per channel of a subscribe command, before any data of it."""

    msg: SubscribedMsg
    id: int = 0
    sending_ts_ms: Millis = 0


class UnsubscribedFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="unsubscribed"):
    """Response to an unsubscribe: the subscription has ended."""

    sid: int = 0
    seq: int = 0
    id: int = 0
    sending_ts_ms: Millis = 0


class OkFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ok"):
    """A command was done. It takes the next number of its subscription (vendor docs)."""

    id: int = 0
    sid: int = 0
    seq: int = 0
    sending_ts_ms: Millis = 0


class ErrorFrame(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="error"):
    """A command failed, or a subscription ended (codes 10 and 25)."""

    msg: ErrorMsg
    id: int = 0
    sid: int = 0
    seq: int = 0
    sending_ts_ms: Millis = 0


class OtherFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame that is none of the others: of an unknown type, or of a known type in a shape that can't be read."""

    type: str = ""
    sid: int = 0
    seq: int = 0
    sending_ts_ms: Millis = 0
    market: str = ""
    """The market that it names; empty for none."""
    flaw: str = ""
    """What of it can't be read."""


DataFrame = (
    SnapshotFrame | DeltaFrame | TradeFrame | TickerFrame | FillFrame | UserOrderFrame | PositionFrame | OrderGroupFrame
)
"""Frames about markets and about the account."""

ControlFrame = LifecycleFrame | SubscribedFrame | UnsubscribedFrame | OkFrame | ErrorFrame
"""Frames that change what is known and what is subscribed."""

KnownFrame = DataFrame | ControlFrame

Frame = KnownFrame | OtherFrame

FRAME_TYPES = frozenset(kind.__struct_config__.tag for kind in get_args(KnownFrame))
"""The values of `type` that have a frame of their own."""

_ENVELOPE = frozenset({"type", "id", "sid", "seq", "sending_ts_ms", "msg", "data"})

_DOCUMENTED: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "orderbook_snapshot": "market_ticker market_id clock yes_dollars_fp no_dollars_fp",
        "orderbook_delta": "market_ticker market_id clock price_dollars delta_fp side ts ts_ms"
        " client_order_id subaccount",
        "trade": "trade_id market_ticker market_id yes_price_dollars no_price_dollars count_fp taker_side"
        " taker_outcome_side taker_book_side is_block_trade ts ts_ms",
        "ticker": "market_id market_ticker price_dollars yes_bid_dollars yes_ask_dollars volume_fp open_interest_fp"
        " dollar_volume dollar_open_interest yes_bid_size_fp yes_ask_size_fp last_trade_size_fp ts ts_ms time",
        "fill": "trade_id order_id client_order_id market_ticker exchange_index is_taker side yes_price_dollars"
        " count_fp fee_cost action ts ts_ms post_position_fp purchased_side outcome_side book_side subaccount",
        "user_order": "order_id user_id ticker exchange_index status side is_yes outcome_side book_side"
        " yes_price_dollars fill_count_fp remaining_count_fp initial_count_fp taker_fill_cost_dollars"
        " maker_fill_cost_dollars taker_fees_dollars maker_fees_dollars client_order_id order_group_id"
        " self_trade_prevention_type created_time created_ts_ms expiration_time expiration_ts_ms last_update_time"
        " last_updated_ts_ms last_update_reason subaccount_number",
        "market_position": "user_id market_ticker position_fp position_cost_dollars realized_pnl_dollars"
        " fees_paid_dollars position_fee_cost_dollars volume_fp subaccount",
        "market_lifecycle_v2": "market_ticker event_type exchange_index open_ts close_ts additional_metadata"
        " price_level_structure price_ranges is_deactivated result settlement_value determination_ts settled_ts",
        "order_group_updates": "event_type order_group_id contracts_limit_fp ts_ms",
        "subscribed": "channel sid",
        "error": "code msg market_ticker market_tickers",
    }.items()
}


def unknown_fields(data: bytes) -> list[str]:
    """Names of undocumented fields in a frame, as `type.field` or `type.msg.field`, sorted.

    Slow: it decodes the frame again, so it is meant for one frame per type.
    """
    frame = msgspec.json.decode(data)
    kind = str(frame.get("type"))
    found = [f"{kind}.{name}" for name in frame.keys() - _ENVELOPE]
    message = frame.get("msg")
    known = _DOCUMENTED.get(kind)
    if known is not None and isinstance(message, dict):
        found += [f"{kind}.msg.{name}" for name in message.keys() - known]
    return sorted(found)
