"""What differs from venue to venue: each rule, one way and the other."""

import msgspec
import pytest

from connectors.sandbox.engine.model import Accepted, Rejection, SelfTrade
from connectors.sandbox.engine.rules import Rules
from tests.connectors.sandbox.engine.coins import COIN, MS_NS, USDT, Coins, perpetual_spec, spot_spec


def test_self_trade_when_allowed_then_the_account_trades_with_itself() -> None:
    coins = Coins(rules=Rules(self_trade="allow"))
    maker = coins.order("A", "S", "ask", 630_000, 500)
    taker = coins.order("A", "S", "bid", 630_000, 200)
    assert (maker.filled, taker.reason) == (200, "filled")
    assert coins.cash("A", "BTC") == 2 * COIN
    coins.assert_sound()


def test_self_trade_when_a_perpetual_trades_with_itself_then_open_interest_stays() -> None:
    coins = Coins()
    coins.open("A", "B", 630_000, 500)
    coins.order("A", "P", "ask", 640_000, 300)
    coins.order("A", "P", "bid", 640_000, 300)
    assert (coins.position("A").net, coins.exchange.state.markets["P"].open_interest) == (500, 500)
    coins.assert_sound()


@pytest.mark.parametrize(
    ("mode", "reasons"),
    [("taker_at_cross", ("", "self_trade")), ("maker", ("self_trade", "")), ("allow", ("filled",) * 2)],
)
def test_self_trade_when_an_order_does_not_choose_then_the_venues_rule_holds(
    mode: SelfTrade, reasons: tuple[str, str]
) -> None:
    coins = Coins(rules=Rules(self_trade=mode))
    maker = coins.order("A", "S", "ask", 630_000, 500)
    taker = coins.order("A", "S", "bid", 630_000, 500)
    assert (maker.reason, taker.reason) == reasons


def test_reduce_only_when_it_may_rest_then_it_is_capped_when_it_trades() -> None:
    coins = Coins()
    coins.open("A", "B", 630_000, 500)
    closing = coins.order("A", "P", "ask", 640_000, 500, reduce_only=True)
    coins.order("A", "P", "ask", 635_000, 300)
    coins.order("C", "P", "bid", 640_000, 1_000)
    assert (coins.position("A").net, closing.filled, closing.reason) == (0, 200, "reduce_only")
    coins.assert_sound()


def test_reduce_only_when_the_position_is_gone_then_what_rests_ends() -> None:
    coins = Coins()
    coins.open("A", "B", 630_000, 500)
    closing = coins.order("A", "P", "ask", 650_000, 500, reduce_only=True)
    coins.order("C", "P", "bid", 629_000, 500)
    coins.order("A", "P", "ask", 629_000, 500, tif="ioc")
    assert (coins.position("A").net, closing.status, closing.reason) == (0, "ended", "reduce_only")


def test_fill_or_kill_when_reducing_orders_are_in_the_way_then_only_what_they_can_trade_counts() -> None:
    coins = Coins()
    coins.open("A", "B", 630_000, 500)
    coins.order("A", "P", "ask", 640_000, 500, reduce_only=True)
    coins.order("A", "P", "ask", 635_000, 300)
    killed = coins.order("C", "P", "bid", 640_000, 501, tif="fok")
    assert (killed.filled, killed.reason) == (0, "unfilled")
    assert coins.order("C", "P", "bid", 640_000, 500, tif="fok").reason == "filled"


def test_reduce_only_when_it_needs_immediate_or_cancel_then_others_are_refused() -> None:
    coins = Coins(rules=Rules(reduce_only_needs_ioc=True))
    assert coins.refusal("A", "P", "ask", 640_000, 500, reduce_only=True) == "invalid_order"


def test_post_only_when_any_time_in_force_may_have_it_then_it_is_taken() -> None:
    assert Coins().refusal("A", "S", "bid", 630_000, 5, post_only=True, tif="ioc") == "invalid_order"
    free = Coins(rules=Rules(post_only_needs_gtc=False))
    assert free.order("A", "S", "bid", 630_000, 5, post_only=True, tif="ioc").reason == "unfilled"


def test_expiry_when_any_time_in_force_may_have_it_then_it_is_taken() -> None:
    coins = Coins()
    expiry_ns = coins.now_ns + 50 * MS_NS
    assert coins.refusal("A", "S", "bid", 630_000, 5, expiration_ns=expiry_ns, tif="ioc") == "invalid_expiry"
    free = Coins(rules=Rules(expiry_needs_gtc=False))
    assert free.order("A", "S", "bid", 630_000, 5, expiration_ns=expiry_ns, tif="ioc").reason == "unfilled"


def test_good_till_date_when_the_date_comes_then_the_order_ends() -> None:
    coins = Coins()
    order = coins.order("A", "S", "bid", 630_000, 5, expiration_ns=coins.now_ns + 50 * MS_NS)
    coins.exchange.advance(coins.tick(48))
    assert order.status == "open"
    coins.exchange.advance(coins.tick(2))
    assert (order.status, order.reason) == ("ended", "expired")
    assert coins.available("A") == 100_000 * USDT


@pytest.mark.parametrize(("refuses", "expected"), [(True, "fok_unfillable"), (False, "unfilled")])
def test_fill_or_kill_when_it_cannot_fill_then_it_is_refused_or_ends_by_rule(refuses: bool, expected: str) -> None:
    coins = Coins(rules=Rules(refuses_unfillable_fok=refuses))
    coins.order("B", "S", "ask", 630_000, 500)
    answer = coins.send("A", "S", "bid", 630_000, 501, tif="fok")
    assert (answer.code if isinstance(answer, Rejection) else answer.order.reason) == expected
    assert coins.fills_of("A") == []
    assert coins.order("A", "S", "bid", 630_000, 500, tif="fok").reason == "filled"


def test_halt_when_rules_keep_what_rests_then_it_trades_on_after_the_pause() -> None:
    coins = Coins()
    order = coins.order("A", "S", "bid", 630_000, 5, cancel_on_pause=True)
    coins.exchange.set_market("S", "pause", now_ns=coins.tick())
    coins.exchange.set_market("S", "resume", now_ns=coins.tick())
    assert order.status == "open"


@pytest.mark.parametrize(
    ("rules", "act"),
    [
        (Rules(pause_cancels="all"), "pause"),
        (Rules(pause_cancels="marked"), "pause"),
        (Rules(resume_cancels="all"), "resume"),
    ],
)
def test_halt_when_rules_cancel_then_what_rests_ends_at_that_act(rules: Rules, act: str) -> None:
    coins = Coins(rules=rules)
    order = coins.order("A", "S", "bid", 630_000, 5, cancel_on_pause=True)
    coins.exchange.set_market("S", "pause", now_ns=coins.tick())
    assert (order.status == "ended") == (act == "pause")
    coins.exchange.set_market("S", "resume", now_ns=coins.tick())
    assert (order.status, order.reason) == ("ended", "halted")


SLOW = Rules(cancel_min_ns=10 * MS_NS, cancel_max_ns=50 * MS_NS)


def test_cancel_when_it_takes_time_then_the_order_is_cancelling_and_ends_later() -> None:
    coins = Coins(rules=SLOW)
    order = coins.order("A", "S", "bid", 630_000, 5)
    answer = coins.exchange.cancel("A", order.order_id, now_ns=coins.tick())
    assert isinstance(answer, Accepted)
    assert (answer.reduced, order.status, order.remaining) == (0, "cancelling", 5)
    coins.exchange.advance(coins.tick(9))
    assert order.status == "cancelling"
    again = coins.exchange.cancel("A", order.order_id, now_ns=coins.now_ns)
    assert again == Rejection("cancel_pending")
    coins.exchange.advance(coins.tick(50))
    assert (order.status, order.reason) == ("ended", "cancelled")
    assert coins.available("A") == 100_000 * USDT


def test_cancel_when_it_takes_time_then_the_order_can_still_fill() -> None:
    coins = Coins(rules=SLOW)
    part, whole = coins.order("A", "S", "bid", 630_000, 5), coins.order("A", "S", "bid", 631_000, 5)
    assert coins.exchange.cancel_all("A", coins.tick()) == [part, whole]
    coins.order("B", "S", "ask", 630_000, 7, tif="ioc")
    assert (whole.status, whole.reason) == ("ended", "filled")
    assert (part.status, part.filled, part.remaining) == ("cancelling", 2, 3)
    coins.exchange.advance(coins.tick(60))
    assert (part.reason, part.filled) == ("cancelled", 2)
    coins.assert_sound()


def test_cancel_when_a_fault_slows_it_then_it_takes_that_long() -> None:
    coins = Coins()
    order = coins.order("A", "S", "bid", 630_000, 5)
    coins.exchange.state.cancel_delay_ns = 5_000 * MS_NS
    coins.exchange.cancel("A", order.order_id, now_ns=coins.tick())
    coins.exchange.advance(coins.tick(4_999))
    assert order.status == "cancelling"
    coins.exchange.advance(coins.tick(1))
    assert order.reason == "cancelled"


def test_kind_when_it_is_not_offered_then_it_is_refused() -> None:
    coins = Coins(rules=Rules(kinds=("limit",)))
    assert coins.refusal("A", "S", "bid", 0, 5, kind="market", tif="ioc") == "not_offered"


def test_maker_fills_when_a_venue_hides_them_then_only_takers_see_theirs() -> None:
    coins = Coins(rules=Rules(lists_maker_fills=False))
    coins.order("A", "S", "bid", 630_000, 5)
    coins.order("B", "S", "ask", 630_000, 5)
    assert [(fill.account, fill.is_listed) for fill in coins.exchange.ledger.fills] == [("A", False), ("B", True)]


def test_terms_when_a_market_has_a_minimum_then_less_is_refused() -> None:
    coins = Coins(spot_spec(size_min=10, notional_min=5_000 * USDT))
    assert coins.refusal("A", "S", "bid", 630_000, 9) == "below_minimum"
    assert coins.refusal("A", "S", "bid", 630_000, 79) == "below_minimum"
    assert coins.order("A", "S", "bid", 630_000, 80).status == "open"


def test_terms_when_a_price_is_too_far_from_the_market_then_it_is_refused() -> None:
    coins = Coins(perpetual_spec(price_deviation_ppm=100_000))
    assert coins.order("A", "P", "bid", 1_000, 5).status == "open"
    coins.mark(600_000)
    assert coins.refusal("A", "P", "bid", 539_999, 5) == "price_deviation"
    assert coins.refusal("A", "P", "ask", 660_001, 5) == "price_deviation"
    assert coins.order("A", "P", "ask", 660_000, 5).status == "open"


def test_units_when_markets_count_one_asset_in_different_units_then_the_second_is_refused() -> None:
    coins = Coins()
    with pytest.raises(ValueError, match="T counts USDT in 6 decimals; others have 4"):
        coins.exchange.add_market(msgspec.structs.replace(spot_spec(market_id="T"), size_decimals=5), coins.now_ns)
