"""What a key may do."""

from __future__ import annotations

from connectors.client.wire.keys import KeyRights, Right, Unknown, notes_on, rights_of

MEANINGS = {"trade": frozenset({Right.READ, Right.TRADE}), "withdraw": frozenset({Right.WITHDRAW})}


def test_rights_when_scopes_are_named_then_they_add_up_and_unknown_ones_give_none() -> None:
    rights = rights_of(("trade", "dance"), MEANINGS)
    assert rights == KeyRights(frozenset({Right.READ, Right.TRADE}), ("trade", "dance"))
    assert notes_on(rights) == ()


def test_key_when_it_may_not_trade_or_may_withdraw_then_there_is_a_note_with_its_scopes() -> None:
    assert notes_on(rights_of((), MEANINGS)) == ("the key may not trade, its scopes are none: orders would be refused",)
    (note,) = notes_on(rights_of(("trade", "withdraw"), MEANINGS))
    assert "may withdraw, its scopes are trade, withdraw" in note


def test_key_when_it_is_taken_from_anywhere_then_there_is_a_note_where_the_venue_says_so() -> None:
    (note,) = notes_on(rights_of(("trade",), MEANINGS, has_ip_list=False))
    assert "has no list of addresses" in note
    assert notes_on(rights_of(("trade",), MEANINGS, has_ip_list=True)) == ()


def test_key_when_the_venue_does_not_say_then_what_the_settings_declare_counts_or_there_is_a_note() -> None:
    assert notes_on(Unknown(("read", "trade"))) == ()
    (note,) = notes_on(Unknown(("read",)))
    assert "may not trade, its scopes are read" in note
    assert "does not say" in notes_on(Unknown())[0]
