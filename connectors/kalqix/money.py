"""What an operator asks of an account beside trading: transfers, withdrawals, API keys, and the lists of them.

Strategies never come here. Money goes out only with a key that signs TRANSFER or WITHDRAW: `operator_account` makes it
for the actions that are named, and the keys of a connector sign neither.

A transfer or withdrawal is signed first and sent then, so that what is about to leave can be written down: `sent_as` of
the request is its name, by which `find_transfer` finds it when its answer is lost. In B the wallet signs both, too
(*assumption*).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from connectors.client.pages import by_number
from connectors.client.rest import DONE, SignedRest
from connectors.client.wire.calls import Call, path_part
from connectors.client.wire.reports import decoded_ack
from connectors.client.wire.rows import Row
from connectors.kalqix.connector import open_account, wallet_of
from connectors.kalqix.settings import KalqixSettings
from connectors.kalqix.sign import SignAction, signature_digest, wallet_signer
from connectors.kalqix.wire.rows import Page
from connectors.transport.ports import HttpRequest
from framework.domain.ports import Clock, Rng

TRANSFER, WITHDRAW = "TRANSFER", "WITHDRAW"

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}").fullmatch
_ASSET = re.compile(r"[A-Za-z0-9]{1,20}").fullmatch


class NewKey(msgspec.Struct, frozen=True):
    """An API key as it is shown once. Its repr leaves the secret out."""

    api_key: str
    api_secret: str
    user: str = ""
    status: str = ""

    def __repr__(self) -> str:
        return f"<NewKey {self.api_key}>"


class Claim(msgspec.Struct, frozen=True):
    """A withdrawal as far as its proof is: what the claim on the chain needs, which is not ours to send. The texts of
    the proof are empty until it is `proof_ready`; `amount` is in base units."""

    proof_ready: bool
    amount: str
    amount_formatted: str
    local_exit_proof: str
    global_exit_proof: str
    global_claim_index: str
    token_address: str
    chain_id: int
    network: str
    destination_network_id: int
    destination_address: str
    bridge_contract_address: str


def operator_account(
    settings: KalqixSettings, actions: Sequence[str], *, clock: Clock, rng: Rng, proxy: str = ""
) -> OperatorAccount:
    """An account for an operator's command, which signs these actions and no others; none where all is to be read.

    Raises `ConfigurationError` when a key is missing or can't be used.
    """
    sign_action: SignAction = wallet_signer(wallet_of(settings, actions)) if actions else _refuse
    return OperatorAccount(open_account(settings, sign_action, clock=clock, rng=rng, proxy=proxy))


class OperatorAccount:
    """One account, for one command. Call `prepare` first, `close` last. All that ask the venue raise like reads;
    `send` like writes: `OutcomeUnknown` when money may have left."""

    def __init__(self, rest: SignedRest) -> None:
        self._rest = rest

    def __repr__(self) -> str:
        return f"<OperatorAccount {self._rest!r}>"

    async def prepare(self) -> None:
        """Learn the venue's time, which signatures carry."""
        await self._rest.get("/time", msgspec.Raw)

    async def close(self) -> None:
        """Close the connections; what is in flight ends with `OutcomeUnknown`."""
        await self._rest.close()

    def sign_transfer(self, asset: str, amount: str, to_wallet: str) -> HttpRequest:
        """A transfer to another wallet, to be sent at once: its time ages. Raises `ValueError`, naming what is wrong,
        for what the venue would not take, and for an account that does not sign transfers."""
        if not _ADDRESS(to_wallet):
            raise ValueError(f"to={to_wallet[:60]!r} is no wallet address; write 0x and 40 hexadecimal digits")
        fields = {**_money(asset, amount), "action": TRANSFER, "to_wallet_address": to_wallet}
        return self._rest.signed(Call("PUT", "/transfers", msgspec.json.encode(fields)))

    def sign_withdrawal(self, asset: str, amount: str, chain_id: int) -> HttpRequest:
        """The first step of a withdrawal to the account's own wallet on a chain. Raises `ValueError` like
        `sign_transfer`."""
        if chain_id <= 0:
            raise ValueError(f"chain_id={chain_id} is no chain; 1 is Ethereum")
        fields = {**_money(asset, amount), "action": WITHDRAW, "chain_id": chain_id}
        return self._rest.signed(Call("POST", "/withdrawals", msgspec.json.encode(fields)))

    async def send(self, request: HttpRequest) -> Row:
        """Send once what was signed here; the venue's answer: of a transfer its row, of a withdrawal `withdrawal_id`.

        Raises `RefusedByVenue` and `Retryable` when nothing was done, `OutcomeUnknown` when it may have been done: then
        look for it, and sign nothing anew.
        """
        response = await self._rest.send(request)
        if response.status not in DONE:
            raise self._rest.failure_of_write(response, is_cancel=False)
        return decoded_ack(response.body, _ROW.decode)

    async def find_transfer(self, sent_as: str) -> Row | None:
        """The transfer of this digest (`sign.sent_as` of its request); None where the list does not show it."""
        found = (row for row in await self.transfers() if signature_digest(str(row.get("signature"))) == sent_as)
        return next(found, None)

    async def transfers(self) -> Sequence[Row]:
        """Every transfer to another wallet, in the order of the venue."""
        return await self._all("/transfers")

    async def transfer(self, transfer_id: str) -> Row:
        """One transfer by the venue's id of it."""
        return await self._rest.get(f"/transfers/{path_part(transfer_id)}", Row)

    async def claim(self, withdrawal_id: str) -> Claim:
        """The second step of a withdrawal: ask until it is `proof_ready`."""
        return await self._rest.get(f"/withdrawals/{path_part(withdrawal_id)}/claim", Claim)

    async def transactions(self, user: str) -> Sequence[Row]:
        """Deposits and withdrawals; `user` is the wallet's address."""
        return await self._all(f"/users/{path_part(user)}/transaction-history")

    async def position(self, asset: str) -> Row:
        """The balance of one asset."""
        return await self._rest.get(f"/positions/{path_part(asset)}", Row)

    async def portfolio(self) -> Row:
        """How many assets there are, and their worth in dollars."""
        return await self._rest.get("/portfolios", Row)

    async def user(self) -> Row:
        """The profile: `wallet_address` is whose the API key is."""
        return await self._rest.get("/users/me", Row)

    async def keys(self) -> Sequence[Row]:
        """The API keys, without secrets."""
        return await self._all("/api-keys")

    async def make_key(self) -> NewKey:
        """One more API key. That the key in use signs this request is an *assumption*: the first one is made on the
        venue's web page. Raises like `send`."""
        return msgspec.convert(await self.send(self._rest.signed(Call("PUT", "/api-keys"))), NewKey)

    async def delete_key(self, api_key: str) -> None:
        """End an API key. Raises like `send`."""
        await self.send(self._rest.signed(Call("DELETE", f"/api-keys/{path_part(api_key)}")))

    async def _all(self, path: str) -> Sequence[Row]:
        return list(await self._rest.listing(path, Page, by_number))


def _refuse(fields: Mapping[str, str | int]) -> str:
    raise ValueError(f"action={fields['action']!r}: this account only reads")


def _money(asset: str, amount: str) -> dict[str, str]:
    if not _ASSET(asset):
        raise ValueError(f"asset={asset[:60]!r} is no symbol; write it as the venue does, such as USDC")
    try:
        value = Decimal(amount)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0 or not -18 <= value.as_tuple().exponent <= 18:  # type: ignore[operator]
        raise ValueError(f"amount={amount[:60]!r} is no amount; write a plain decimal above 0")
    text = f"{value:f}"
    return {"asset": asset, "amount": text.rstrip("0").removesuffix(".") if "." in text else text}


_ROW = msgspec.json.Decoder(Row)
