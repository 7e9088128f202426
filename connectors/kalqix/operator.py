"""What an operator asks of an account beside trading: its API keys, and funds that leave it. Strategies never come
here.

Funds go out only with a key that signs TRANSFER and WITHDRAW: it is made for one move, and the keys of a connector sign
neither. In B the wallet signs both, too (*assumption*).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from connectors.client.pages import by_number
from connectors.client.usual.funds import FundTable, RestFunds
from connectors.client.usual.keys import KeyList, ListedKeys
from connectors.client.wire.address import is_loopback
from connectors.client.wire.calls import Call
from connectors.client.wire.rows import Row
from connectors.client.wire.wallet_sign import WalletKey
from connectors.kalqix.settings import KalqixSettings
from connectors.kalqix.sign import open_account, sent_as, signature_digest, wallet_of, wallet_signer
from connectors.kalqix.wire.rows import Page
from framework.domain.errors import ConfigurationError
from framework.domain.ports import Clock, Rng
from framework.domain.turns import TakeTurn, no_limits
from framework.domain.venue import FundMove, FundMoveState, FundVerb, KeyTerms, KeyVerb

_KEYS = KeyList(
    terms=KeyTerms(
        verbs=frozenset({KeyVerb.LIST, KeyVerb.CREATE, KeyVerb.REVOKE}), scopes={}, label_chars_max=0,
        assumptions={"create": "the key in use signs for another one; the first key is made on the venue's website"},
    ),
    page=Page, next_page=by_number, words={"id": "api_key", "is_active": "status"}, active="ACTIVE",
    made={"id": "api_key", "secret": "api_secret"}, create="PUT",
)  # fmt: skip


def key_admin(name: str, settings: KalqixSettings, *, clock: Clock, rng: Rng, proxy: str = "") -> ListedKeys:
    """The API keys of the account, which have neither labels nor scopes. That the key in use may ask for another is an
    *assumption*. Raises `ConfigurationError` when its secret can't be used."""
    rest = open_account(settings, _refuse, clock=clock, rng=rng, proxy=proxy)
    return ListedKeys(name, rest, _KEYS, own_key=settings.key_id, is_loopback=is_loopback(settings.rest_url))


def fund_mover(
    _name: str, settings: KalqixSettings, *, clock: Clock, rng: Rng, proxy: str = "", turn: TakeTurn = no_limits
) -> RestFunds:
    """What transfers to other wallets, and withdraws to the account's own one on a chain. A transfer is found again by
    its wallet signature; no list of the venue shows that of a withdrawal. Raises `ConfigurationError` when a secret or
    a key can't be used."""
    wallet = wallet_of(settings, ("TRANSFER", "WITHDRAW"))
    table = FundTable(
        call_of=partial(_call_of, wallet), state_of=_state_of, holding="/positions/{asset}",
        ids={FundVerb.TRANSFER: "transfer_id", FundVerb.WITHDRAW: "withdrawal_id"},
        paths={FundVerb.TRANSFER: "/transfers/{id}", FundVerb.WITHDRAW: "/withdrawals/{id}/claim"},
        available="available_formatted", decimals="decimals", page=Page, next_page=by_number,
        lists={FundVerb.TRANSFER: "/transfers"}, digest_of=sent_as,
        digest_in=lambda row: signature_digest(str(row.get("signature"))),
    )  # fmt: skip
    return RestFunds(open_account(settings, wallet_signer(wallet), clock=clock, rng=rng, proxy=proxy, turn=turn), table)


def _call_of(wallet: WalletKey, move: FundMove) -> Call:
    fields = {"asset": move.asset, "amount": move.amount}
    if move.verb is FundVerb.TRANSFER:
        wallet.check_recipient(move.to, "--to")
        action = {"action": "TRANSFER", "to_wallet_address": move.to}
        return Call("PUT", "/transfers", msgspec.json.encode(fields | action))
    if move.chain_id <= 0:
        raise ConfigurationError(f"--chain: {move.chain_id} is no chain; give its id, as 1 for Ethereum")
    return Call("POST", "/withdrawals", msgspec.json.encode(fields | {"action": "WITHDRAW", "chain_id": move.chain_id}))


def _state_of(verb: FundVerb, move_id: str, row: Row) -> FundMoveState:
    """A word other than PENDING ends a transfer (*assumption*). A withdrawal is proved by the venue in its second step;
    the third one is its owner's, on the chain, with what the venue states then."""
    if verb is FundVerb.TRANSFER:
        return FundMoveState(id=move_id, status=str(row["status"]), is_final=row["status"] != "PENDING")
    if row.get("proof_ready") is not True:
        return FundMoveState(id=move_id, status="begun, its proof is not ready", is_final=False)
    details = tuple((name, str(value)) for name, value in row.items() if name != "proof_ready")
    status = "proved: claim it on the chain, by the bridge contract, with what follows"
    return FundMoveState(id=move_id, status=status, is_final=True, details=details)


def _refuse(fields: Mapping[str, Any]) -> str:
    raise ValueError(f"action={fields['action']!r}: who asks for keys signs no action")
