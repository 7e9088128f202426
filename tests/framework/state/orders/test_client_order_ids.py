from __future__ import annotations

import pytest

from framework.runtime.clock import seeded_rng
from framework.state.orders.client_order_ids import ClientOrderIds, ParsedOrderId, new_instance, parse_client_order_id


def test_ids_when_asked_for_then_they_are_instance_epoch_and_a_number_that_counts_up() -> None:
    ids = ClientOrderIds("tg7f3a91", 12)

    assert [ids.next(), ids.next()] == ["tg7f3a91-12-1", "tg7f3a91-12-2"]


def test_id_of_a_new_instance_when_parsed_then_its_parts_come_back() -> None:
    instance = new_instance(seeded_rng(1))

    assert parse_client_order_id(ClientOrderIds(instance, 3).next()) == ParsedOrderId(instance, 3, 1)


@pytest.mark.parametrize(
    "text", ["", "tg-1-1", "tg7f3a91-12", "tg7f3a91-12-", "tg7f3a91-12-45x", "Tg7f3a91-12-45", "tg7f3a9-12-45", "v-1"]
)
def test_text_when_it_is_in_another_format_then_it_has_no_parts(text: str) -> None:
    assert parse_client_order_id(text) is None
