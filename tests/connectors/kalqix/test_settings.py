"""Settings of an account: what is missing or unknown is named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.kalqix.settings import TESTNET, KalqixSettings

GIVEN: dict[str, Any] = {"key_id": "k", "api_secret_path": "s", "markets": ["*"], "wallet_key_path": "w"}


def test_settings_when_only_what_is_needed_is_given_then_the_testnet_and_a_are_meant() -> None:
    settings = KalqixSettings(**GIVEN)
    assert (settings.rest_url, settings.dialect) == (TESTNET, "a")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"wallet_key_path": None}, 'dialect="a" signs orders with wallet_key_path; set it'),
        ({"dialect": "b"}, 'dialect="b" signs orders with agent_index and agent_key_path; set it'),
        ({"dialect": "b", "agent_key_path": "a"}, "signs orders with agent_index; set it"),
        ({"dialect": "c"}, "Input should be 'a' or 'b'"),
        ({"rest_url": "http://api.kalqix.com/v1"}, "only a loopback address may go without https"),
        ({"agent_index": 256}, "less than or equal to 255"),
        ({"wallet_key": "0x11"}, "Extra inputs are not permitted"),
    ],
)
def test_settings_when_something_is_wrong_then_it_is_named(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        KalqixSettings(**(GIVEN | changes))
