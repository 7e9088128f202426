"""Which fields the venue documents for each stream frame, to notice new ones. Pure."""

from __future__ import annotations

import msgspec

_ENVELOPE = frozenset({"type", "id", "sid", "seq", "sending_ts_ms", "msg"})

_KNOWN: dict[str, frozenset[str]] = {
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
    """Names of undocumented fields in a frame, as `type.field`, sorted. Slow: meant for one frame per type."""
    frame = msgspec.json.decode(data)
    kind = str(frame.get("type"))
    found = [f"{kind}.{name}" for name in frame.keys() - _ENVELOPE]
    message = frame.get("msg")
    known = _KNOWN.get(kind)
    if known is not None and isinstance(message, dict):
        found += [f"{kind}.msg.{name}" for name in message.keys() - known]
    return sorted(found)
