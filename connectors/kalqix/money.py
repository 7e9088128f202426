"""What an operator asks of an account beside trading: transfers, withdrawals, API keys, and whatever it lists.

Strategies never come here. Money goes out only with a key that signs TRANSFER or WITHDRAW: `operator_account` makes it
for the actions that are named, and the keys of a connector sign neither. What takes money out is signed first and sent
then, so that it can be written down before: `sign.sent_as` of the request is its name, by which `find_transfer` finds
it when its answer is lost. In B the wallet signs both, too (*assumption*).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}").fullmatch
_ASSET = re.compile(r"[A-Za-z0-9]{1,20}").fullmatch
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII).fullmatch


def operator_account(
    settings: KalqixSettings, actions: Sequence[str], *, clock: Clock, rng: Rng, proxy: str = ""
) -> OperatorAccount:
    """An account for an operator's command, which signs these actions ("TRANSFER", "WITHDRAW") and no others; none
    where all is to be read. Raises `ConfigurationError` when a key is missing or can't be used."""
    sign_action: SignAction = wallet_signer(wallet_of(settings, actions)) if actions else _refuse
    return OperatorAccount(open_account(settings, sign_action, clock=clock, rng=rng, proxy=proxy))


class OperatorAccount:
    """One account, for one command. Call `prepare` first, `close` last. What asks the venue raises like reads, `send`
    like writes: `OutcomeUnknown` when money may have left."""

    def __init__(self, rest: SignedRest) -> None:
        self._rest = rest

    async def prepare(self) -> None:
        """Learn the venue's time, which signatures carry."""
        await self._rest.get("/markets", msgspec.Raw)

    async def close(self) -> None:
        """Close the connections; what is in flight ends with `OutcomeUnknown`."""
        await self._rest.close()

    def sign_transfer(self, asset: str, amount: str, to_wallet: str) -> HttpRequest:
        """A transfer to another wallet, to be sent at once: its time ages. `amount` is a plain decimal.

        Raises `ValueError`, naming what is wrong, for what the venue would not take, and for an account that does not
        sign transfers.
        """
        if not _ADDRESS(to_wallet):
            raise ValueError(f"to={to_wallet[:60]!r} is no wallet address; write 0x and 40 hexadecimal digits")
        fields = {**_money(asset, amount), "action": "TRANSFER", "to_wallet_address": to_wallet}
        return self._rest.signed(Call("PUT", "/transfers", msgspec.json.encode(fields)))

    def sign_withdrawal(self, asset: str, amount: str, chain_id: int) -> HttpRequest:
        """The first step of a withdrawal to the account's own wallet on a chain. Raises `ValueError` like
        `sign_transfer`."""
        if chain_id <= 0:
            raise ValueError(f"chain_id={chain_id} is no chain; 1 is Ethereum")
        fields = {**_money(asset, amount), "action": "WITHDRAW", "chain_id": chain_id}
        return self._rest.signed(Call("POST", "/withdrawals", msgspec.json.encode(fields)))

    async def send(self, request: HttpRequest) -> Row:
        """Send once what was signed here; the answer: of a transfer its row, of a withdrawal its `withdrawal_id`.

        Raises `RefusedByVenue` and `Retryable` when nothing was done, `OutcomeUnknown` when it may have been done: then
        look for it, and sign nothing anew.
        """
        response = await self._rest.send(request)
        if response.status not in DONE:
            raise self._rest.failure_of_write(response, is_cancel=False)
        return decoded_ack(response.body, _ROW.decode)

    async def find_transfer(self, sent_as: str) -> Row | None:
        """The transfer of this digest (`sign.sent_as` of its request); None where the list does not show it."""
        found = (
            row for row in await self.read_all("/transfers") if signature_digest(str(row.get("signature"))) == sent_as
        )
        return next(found, None)

    async def read(self, *path: str) -> Row:
        """One thing by the parts of its path: ("users", "me"), ("portfolios",), ("positions", ASSET), ("transfers",
        ID).

        ("withdrawals", ID, "claim") is the second step of a withdrawal: ask until its `proof_ready` is true. What it
        has then is needed for the third one, on the chain, which is not ours to send.
        """
        return await self._rest.get("/" + "/".join(map(path_part, path)), Row)

    async def read_all(self, path: str) -> Sequence[Row]:
        """Every row of "/transfers", "/positions", "/api-keys" (no secrets), "/users/WALLET/transaction-history"."""
        return list(await self._rest.listing(path, Page, by_number))

    async def make_key(self) -> Row:
        """One more API key: its `api_key`, and its `api_secret`, which is shown this once. That the key in use signs
        the request is an *assumption*: the first one is made on the venue's web page. Raises like `send`."""
        return await self.send(self._rest.signed(Call("PUT", "/api-keys")))

    async def delete_key(self, api_key: str) -> None:
        """End an API key. Raises like `send`."""
        await self.send(self._rest.signed(Call("DELETE", f"/api-keys/{path_part(api_key)}")))


def _refuse(fields: Mapping[str, str | int]) -> str:
    raise ValueError(f"action={fields['action']!r}: this account only reads")


def _money(asset: str, amount: str) -> dict[str, str]:
    if not _ASSET(asset):
        raise ValueError(f"asset={asset[:60]!r} is no symbol; write it as the venue does, such as USDC")
    if not _AMOUNT(amount) or not amount.strip("0."):
        raise ValueError(f"amount={amount[:60]!r} is no amount; write a plain decimal above 0")
    return {"asset": asset, "amount": amount.rstrip("0").removesuffix(".") if "." in amount else amount}


_ROW = msgspec.json.Decoder(Row)
