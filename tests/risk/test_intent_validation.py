from __future__ import annotations

from typing import Any

import msgspec
import pytest

from framework.domain.intents import AmendOrder, NewOrder
from framework.domain.numbers import Money, Price, Size
from framework.domain.orders import OrderKind, TimeInForce, Trigger, TriggerBy, TriggerKind
from framework.domain.terms import UNDECLARED, VenueTerms
from framework.domain.verdicts import RefusalCode
from risk.intent_validation import find_flaw, find_unoffered
from tests.support.risk_view import new_order

EVERYTHING = VenueTerms(order_kinds=tuple(OrderKind), triggers=tuple(TriggerKind), quote_amounts=True)
AMEND = AmendOrder(strategy="s", client_order_id="c-1", price=Price(5_000), size=Size(1))
STOP = Trigger(TriggerKind.STOP, Price(5_000))
MARKET = {"kind": OrderKind.MARKET, "time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL}


def offered(**terms: Any) -> VenueTerms:
    return msgspec.structs.replace(EVERYTHING, **terms)


def test_intent_when_its_fields_fit_together_then_nothing_is_wrong() -> None:
    for terms in (
        {},
        {"post_only": True},
        {"trigger": STOP, "reduce_only": True},
        MARKET,
        MARKET | {"quote_amount": Money(5_000 * 1_000), "trigger": STOP},
        MARKET | {"time_in_force": TimeInForce.FILL_OR_KILL},
    ):
        assert find_flaw(new_order(**terms)) == "", terms


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"post_only": True, "time_in_force": TimeInForce.FILL_OR_KILL}, "post_only with time_in_force fok"),
        (MARKET | {"post_only": True}, "post_only with time_in_force ioc"),
        ({"kind": OrderKind.MARKET}, "time_in_force is gtc; a market order never rests"),
        ({"quote_amount": Money(1)}, "only a market order has one: kind is limit"),
        (MARKET | {"quote_amount": Money(5_000 * 1_000 + 1)}, "all of the size is worth 5000000"),
        (MARKET | {"quote_amount": Money(-1)}, "quote_amount is -1; give an int from 0"),
        ({"kind": "market"}, "kind is 'market'; give a OrderKind"),
        ({"trigger": "stop"}, "trigger is 'stop'; give a Trigger"),
        ({"trigger": Trigger(TriggerKind.STOP, Price(0))}, "trigger.price is 0; give an int from 1"),
        ({"trigger": Trigger(TriggerKind.STOP, 0.5)}, "trigger.price is 0.5; give an int from 1"),  # type: ignore[arg-type]
        ({"trigger": Trigger(TriggerKind.STOP, Price(1), "mark")}, "trigger.by is 'mark'; give a TriggerBy"),  # type: ignore[arg-type]
        ({"trigger": Trigger(TriggerBy.MARK, Price(1))}, "trigger.kind is a TriggerBy; give a TriggerKind"),  # type: ignore[arg-type]
        (MARKET | {"size": Size(0)}, "size is 0; give an int from 1"),
    ],
)
def test_intent_when_it_contradicts_itself_then_the_field_and_the_remedy_are_named(
    terms: dict[str, Any], says: str
) -> None:
    assert says in find_flaw(new_order(**terms))


@pytest.mark.parametrize(
    ("asked", "terms", "says"),
    [
        (MARKET, offered(order_kinds=(OrderKind.LIMIT,)), "kind=market offered=limit"),
        ({}, offered(order_kinds=(OrderKind.MARKET,)), "kind=limit offered=market"),
        ({"trigger": STOP}, offered(triggers=()), "trigger=stop offered=none"),
        ({"trigger": STOP}, offered(triggers=(TriggerKind.TAKE_PROFIT,)), "trigger=stop offered=take_profit"),
        (MARKET | {"quote_amount": Money(7)}, offered(quote_amounts=False), "quote_amount=7 offered=size"),
        ({"post_only": True}, offered(post_only=False), "post_only=true offered=false"),
        ({"reduce_only": True}, offered(reduce_only=False), "reduce_only=true offered=false"),
        ({"expires_ns": 9}, offered(good_till_date=False), "expires_ns=9 offered=0"),
        (
            {"time_in_force": TimeInForce.FILL_OR_KILL},
            offered(times_in_force=(TimeInForce.GOOD_TILL_CANCELLED, TimeInForce.IMMEDIATE_OR_CANCEL)),
            "time_in_force=fok offered=gtc,ioc",
        ),
        (
            MARKET | {"time_in_force": TimeInForce.FILL_OR_KILL},
            offered(times_in_force=()),
            "time_in_force=fok offered=none",
        ),
    ],
)
def test_order_when_the_venue_does_not_offer_it_then_field_value_and_what_is_offered_are_named(
    asked: dict[str, Any], terms: VenueTerms, says: str
) -> None:
    refusal = find_unoffered(new_order(**asked), terms)
    assert refusal is not None
    assert (refusal.code, refusal.text) == (RefusalCode.NOT_OFFERED, says)
    assert find_unoffered(new_order(**asked), EVERYTHING) is None


def test_market_order_when_the_venue_knows_no_times_in_force_then_it_is_offered_all_the_same() -> None:
    assert find_unoffered(new_order(**MARKET), offered(times_in_force=())) is None


@pytest.mark.parametrize("intent", [new_order(), AMEND])
def test_intent_when_the_key_may_not_trade_then_it_is_not_offered_and_the_key_is_named(
    intent: NewOrder | AmendOrder,
) -> None:
    refusal = find_unoffered(intent, offered(trading=False))
    assert refusal is not None
    assert refusal.code is RefusalCode.NOT_OFFERED
    assert refusal.text == "why=the key of this account may not trade: data only; use another key"
    assert find_unoffered(intent, EVERYTHING) is None


def test_amend_when_the_venue_has_none_then_not_offered() -> None:
    amend = AmendOrder(strategy="mm", client_order_id="c1", price=Price(5_000), size=Size(1_000))
    refusal = find_unoffered(amend, offered(amend=False))
    assert refusal is not None
    assert (refusal.code, refusal.text) == (RefusalCode.NOT_OFFERED, "amend=true offered=none")
    assert find_unoffered(amend, UNDECLARED) is None


@pytest.mark.parametrize(("price", "size", "is_too_large"), [(2**31, 2**31 - 1, False), (2**31, 2**31, True)])
def test_order_when_price_times_size_passes_what_a_record_holds_then_bad_size(
    price: int, size: int, is_too_large: bool
) -> None:
    amend = AmendOrder(strategy="mm", client_order_id="c1", price=Price(price), size=Size(size))
    intents: list[NewOrder | AmendOrder] = [new_order(price=price, size=size), amend]
    found = [find_unoffered(intent, EVERYTHING) for intent in intents]
    assert [refusal is not None and refusal.code is RefusalCode.BAD_SIZE for refusal in found] == [is_too_large] * 2
