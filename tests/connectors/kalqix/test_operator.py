"""Funds that leave an account, and who may sign that, against the venue's local exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.client.usual.funds import RestFunds
from connectors.client.wire.calls import Call
from connectors.kalqix.operator import fund_mover, key_admin
from connectors.kalqix.plugin import sandbox_settings
from connectors.kalqix.settings import KalqixSettings
from framework.domain.errors import ConfigurationError, OutcomeUnknown, RefusedByVenue, Retryable
from framework.domain.venue import FundMove, FundVerb
from framework.runtime.clock import SystemClock, system_rng
from tests.connectors.kalqix.sandbox.client import Client, serving

TO = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
"""An address whose capitals are its checksum (EIP-55's own example)."""
TRANSFER = FundMove(verb=FundVerb.TRANSFER, asset="USDC", amount="100.50", to=TO)
WITHDRAW = FundMove(verb=FundVerb.WITHDRAW, asset="BTC", amount="0.5", chain_id=1)


def settings_of(client: Client, **changes: Any) -> KalqixSettings:
    wallet = {"wallet_key_path": client.ready["wallet_key_path"]}
    return KalqixSettings(**(dict(sandbox_settings(client.ready)) | wallet | {"markets": ("*",)} | changes))


@asynccontextmanager
async def moving(directory: Path, dialect: str = "a", **changes: Any) -> AsyncIterator[tuple[RestFunds, Client]]:
    async with serving(directory, dialect=dialect) as client:
        mover = fund_mover("kalqix", settings_of(client, **changes), clock=SystemClock(), rng=system_rng())
        try:
            yield mover, client
        finally:
            await mover.close()


def arrived(client: Client) -> int:
    """How many moves the exchange has carried out."""
    return len(client.venue.transfers)


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_transfer_when_it_is_sent_then_it_is_followed_to_its_end(tmp_path: Path, dialect: str) -> None:
    async with moving(tmp_path, dialect) as (mover, client):
        signed = await mover.sign(TRANSFER)
        assert arrived(client) == 0
        sent = await mover.send(signed)
        assert (sent.status, sent.is_final) == ("PENDING", False)
        state = sent
        for _ in range(100):
            state = await mover.look_up(FundVerb.TRANSFER, sent.id)
            if state.is_final:
                break
            await asyncio.sleep(0.05)
        (row,) = client.venue.transfers.values()
    assert (state.status, state.is_final) == ("COMPLETED", True)
    assert (row.asset, row.amount, row.to_wallet) == ("USDC", 100_500_000, TO)


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_transfer_when_its_answer_is_lost_then_its_signature_finds_it(tmp_path: Path, dialect: str) -> None:
    async with moving(tmp_path, dialect) as (mover, client):
        for _ in range(30):
            await mover.send(await mover.sign(msgspec.structs.replace(TRANSFER, amount="1")))
        await client.fault("lost_response", match={"method": "PUT"})
        signed = await mover.sign(TRANSFER)
        with pytest.raises(OutcomeUnknown, match="PUT /v1/transfers"):
            await mover.send(signed)
        for _ in range(30):
            await mover.send(await mover.sign(msgspec.structs.replace(TRANSFER, amount="1")))
        found = await mover.find(FundVerb.TRANSFER, signed.digest)
        never = await mover.find(FundVerb.TRANSFER, (await mover.sign(TRANSFER)).digest)
        real = [row.transfer_id for row in client.venue.transfers.values() if row.amount == 100_500_000]
    assert found is not None
    assert [found.id] == real
    assert never is None


async def test_transfer_when_the_request_is_lost_then_nothing_is_found_and_nothing_left(tmp_path: Path) -> None:
    async with moving(tmp_path) as (mover, client):
        await client.fault("lost_request", match={"method": "PUT"})
        signed = await mover.sign(TRANSFER)
        with pytest.raises(OutcomeUnknown):
            await mover.send(signed)
        assert await mover.find(FundVerb.TRANSFER, signed.digest) is None
        assert arrived(client) == 0


async def test_transfer_when_something_on_the_way_doubles_it_then_it_is_done_once_and_in_question(
    tmp_path: Path,
) -> None:
    async with moving(tmp_path) as (mover, client):
        signed = await mover.sign(TRANSFER)
        await mover.send(signed)
        with pytest.raises(OutcomeUnknown, match="this proves nothing"):
            await mover.send(signed)
        assert arrived(client) == 1


@pytest.mark.parametrize("dialect", ["a", "b"])
async def test_withdrawal_when_it_is_begun_then_its_proof_brings_what_the_chain_wants(
    tmp_path: Path, dialect: str
) -> None:
    async with moving(tmp_path, dialect) as (mover, _client):
        signed = await mover.sign(WITHDRAW)
        assert signed.digest == ""
        sent = await mover.send(signed)
        assert (sent.status, sent.is_final, sent.details) == ("begun, its proof is not ready", False, ())
        state = await mover.look_up(FundVerb.WITHDRAW, sent.id)
        assert not state.is_final
        for _ in range(100):
            state = await mover.look_up(FundVerb.WITHDRAW, sent.id)
            if state.is_final:
                break
            await asyncio.sleep(0.05)
        assert await mover.find(FundVerb.WITHDRAW, "any") is None
    details = dict(state.details)
    assert (details["amount"], details["amount_formatted"], details["chain_id"]) == ("50000000", "0.5", "1")
    assert {"local_exit_proof", "global_exit_proof", "global_claim_index", "bridge_contract_address"} <= set(details)
    assert "proof_ready" not in details


@pytest.mark.parametrize(
    ("move", "changes", "message"),
    [
        (TRANSFER, {"to": "0x12"}, "--to: 0x12 is no wallet; write 0x and 40 hexadecimal digits"),
        (TRANSFER, {"to": TO.replace("5a", "5A")}, "has capitals that are not its checksum; compare each digit"),
        (TRANSFER, {"amount": "500000.01"}, "--amount: 500000.01 is more than the 500000 USDC that are available"),
        (TRANSFER, {"amount": "1.0000001"}, "--amount: 1.0000001 is finer than the 6 decimals of USDC"),
        (WITHDRAW, {"amount": "10.1"}, "--amount: 10.1 is more than the 10 BTC that are available"),
        (WITHDRAW, {"chain_id": 0}, "--chain: 0 is no chain; give its id, as 1 for Ethereum"),
    ],
)
async def test_move_when_the_venue_would_not_take_it_then_the_option_is_named_and_nothing_is_signed(
    tmp_path: Path, move: FundMove, changes: dict[str, Any], message: str
) -> None:
    async with moving(tmp_path) as (mover, client):
        with pytest.raises(ConfigurationError) as refused:
            await mover.sign(msgspec.structs.replace(move, **changes))
        assert str(refused.value).endswith(message)
        assert arrived(client) == 0


@pytest.mark.parametrize("form", [str, str.lower])
async def test_transfer_when_it_would_go_to_the_own_wallet_then_it_is_refused(tmp_path: Path, form: Any) -> None:
    async with moving(tmp_path) as (mover, client):
        own = msgspec.structs.replace(TRANSFER, to=form(client.ready["wallet_address"]))
        with pytest.raises(ConfigurationError, match="is the account's own wallet; give another one"):
            await mover.sign(own)


async def test_move_when_the_venue_refuses_it_then_that_is_proved(tmp_path: Path) -> None:
    async with moving(tmp_path) as (mover, client):
        with pytest.raises(RefusedByVenue, match="Asset not found"):
            await mover.sign(msgspec.structs.replace(TRANSFER, asset="NOPE"))
        with pytest.raises(RefusedByVenue, match="Invalid chain_id"):
            await mover.send(await mover.sign(msgspec.structs.replace(WITHDRAW, chain_id=5)))
        first, second = [await mover.sign(msgspec.structs.replace(TRANSFER, amount="300000")) for _ in range(2)]
        await mover.send(first)
        with pytest.raises(RefusedByVenue, match="Insufficient balance"):
            await mover.send(second)
        assert arrived(client) == 1


async def test_move_when_the_venue_s_clock_steps_then_one_is_refused_and_the_next_has_its_time(tmp_path: Path) -> None:
    async with moving(tmp_path) as (mover, client):
        signed = await mover.sign(TRANSFER)
        await client.fault("clock_skew", skew_ms=3_600_000, count=-1)
        with pytest.raises(Retryable, match="the clock is measured anew") as refused:
            await mover.send(signed)
        assert refused.value.was_answered
        assert arrived(client) == 0
        await mover.send(await mover.sign(TRANSFER))
        assert arrived(client) == 1


@pytest.mark.parametrize("action", ["PLACE_ORDER", "CANCEL_ORDER", "ADD_AGENT"])
async def test_key_when_it_moves_funds_then_it_signs_nothing_else(tmp_path: Path, action: str) -> None:
    async with moving(tmp_path) as (mover, _client):
        with pytest.raises(ValueError, match="this key signs TRANSFER, WITHDRAW only"):
            mover._rest.signed(Call("POST", "/orders", msgspec.json.encode({"action": action})))


async def test_keys_when_they_are_asked_for_then_no_action_can_be_signed(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        admin = key_admin("kalqix", settings_of(client), clock=SystemClock(), rng=system_rng())
        with pytest.raises(ValueError, match="who asks for keys signs no action"):
            admin._rest.signed(Call("PUT", "/transfers", msgspec.json.encode({"action": "TRANSFER"})))
        await admin.close()


async def test_mover_of_b_when_no_wallet_is_set_then_it_says_what_to_set(tmp_path: Path) -> None:
    async with serving(tmp_path, dialect="b") as client:
        settings = settings_of(client, wallet_key_path=None)
        with pytest.raises(ConfigurationError, match="wallet_key_path is not set; name the file"):
            fund_mover("kalqix", settings, clock=SystemClock(), rng=system_rng())
