"""Listed objects of Kalshi's REST as domain events. Pure.

Every function raises `ValueError` for a value that it cannot read. Prices are in YES terms and ten-thousandths of a
dollar, sizes in hundredths of a contract, times in Unix nanoseconds; `ts_recv` is ours.
"""

from __future__ import annotations

from connectors.client.wire.decimals import NS_PER_MS, NS_PER_S, iso_ns, scaled_of
from connectors.client.wire.dialect import OrderStates
from connectors.kalshi.wire.account_messages import RestBalance, RestFill, RestOrder, RestPosition
from connectors.kalshi.wire.fixed_point import SIZE_DECIMALS, count_of, money_of, price_of, size_of
from framework.domain.account_events import BalanceReport, Fill, OrderSnapshot, PositionReport
from framework.domain.instruments import instrument_id
from framework.domain.numbers import Size
from framework.domain.orders import Side

_BALANCE_DECIMALS = 6

STATES = OrderStates(open=frozenset({"resting"}), ended=frozenset({"canceled", "executed"}))
"""The venue's words for the state of an order (vendor docs)."""

_SIDES = {"bid": Side.BUY, "ask": Side.SELL, "yes": Side.BUY, "no": Side.SELL}


def side_of(*words: str) -> Side:
    """Our side of the first word that is not empty: `bid` and `yes` buy YES, `ask` and `no` sell it (vendor docs).

    Raises `ValueError` for any other word and when all are empty.
    """
    for word in words:
        if word:
            side = _SIDES.get(word)
            if side is None:
                raise ValueError(f"side: {word!r} is not one of {', '.join(_SIDES)}")
            return side
    raise ValueError("side: neither book_side nor outcome_side is given")


def total_size(*, status: str, initial: Size, filled: Size, remaining: Size) -> Size:
    """The total that an order may trade or could have traded.

    Amends and decreases may leave the initial count at its old value (*assumption*), so an order that rests is
    measured by what it filled and what is left, and an executed one by what it filled.
    """
    if status == "executed":
        return filled
    if status == "resting" or remaining:
        return Size(filled + remaining)
    return max(initial, filled)


def rest_order_snapshot(order: RestOrder, *, venue: str, ts_recv: int) -> OrderSnapshot:
    """An own order as listed. A status that is not documented counts as open while anything remains."""
    filled, remaining = count_of(order.fill_count_fp), count_of(order.remaining_count_fp)
    return OrderSnapshot(
        venue=venue,
        venue_order_id=order.order_id,
        client_order_id=order.client_order_id or "",
        instrument=instrument_id(venue, order.ticker),
        side=side_of(order.book_side, order.outcome_side),
        price=price_of(order.yes_price_dollars),
        size=total_size(
            status=order.status, initial=count_of(order.initial_count_fp), filled=filled, remaining=remaining
        ),
        filled=filled,
        is_open=STATES.is_open(order.status, remaining),
        ts_recv=ts_recv,
        ts_venue=_stream_time_of(order.last_update_time),
        created_ns=iso_ns(order.created_time),
        reason=order.status,
    )


def rest_fill(fill: RestFill, *, venue: str, ts_recv: int) -> Fill:
    """An own trade, at the price it traded. Fees are in millionths of a dollar. It names no client order id."""
    return Fill(
        venue=venue,
        instrument=instrument_id(venue, fill.ticker),
        fill_id=fill.trade_id,
        venue_order_id=fill.order_id,
        client_order_id="",
        side=side_of(fill.book_side, fill.outcome_side),
        price=price_of(fill.yes_price_dollars),
        size=count_of(fill.count_fp),
        fee=money_of(fill.fee_cost),
        is_maker=not fill.is_taker,
        ts_venue=_stream_time_of(fill.created_time) or fill.ts * NS_PER_S,
        ts_recv=ts_recv,
    )


def rest_position(position: RestPosition, *, venue: str, ts_recv: int) -> PositionReport:
    """A net position: long YES positive, long NO negative."""
    return PositionReport(
        venue=venue,
        instrument=instrument_id(venue, position.ticker),
        size=size_of(position.position_fp),
        ts_recv=ts_recv,
        ts_venue=iso_ns(position.last_updated_ts),
    )


def rest_balance(balance: RestBalance, *, venue: str, ts_recv: int) -> BalanceReport:
    """The account's cash in millionths of a dollar; from the truncated cents only where the exact amount is missing."""
    if balance.balance_dollars:
        amount = scaled_of(balance.balance_dollars, _BALANCE_DECIMALS, "balance_dollars")
    else:
        amount = balance.balance * 10 ** (_BALANCE_DECIMALS - SIZE_DECIMALS)
    return BalanceReport(venue=venue, currency="USD", amount=amount, decimals=_BALANCE_DECIMALS, ts_recv=ts_recv)


def _stream_time_of(text: str | None) -> int:
    """A time cut to milliseconds, as the stream and the responses to writes give it (recorded answer).

    So one fact has one time from whichever source, and the order by time does not depend on the source.
    """
    return iso_ns(text) // NS_PER_MS * NS_PER_MS
