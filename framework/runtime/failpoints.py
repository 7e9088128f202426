"""Fail points: named places on the way of an order and of a record at which the process can be made to kill itself.

They exist for proofs of recovery. `TIDEGATE_FAILPOINT=after-sign` in the environment has the process kill itself, as
by `kill -9`, when it first comes to that place; `after-sign:3` at its third passage. Without it a passage costs one
test of a global. `POINTS` lists every place in the order in which they are passed: by an order, by a record, by a start
and by a stop.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

from framework.domain.errors import CLOSENESS_MIN, ConfigurationError, hint

VARIABLE = "TIDEGATE_FAILPOINT"
"""The environment variable that arms a point."""

POINTS: Mapping[str, str] = {
    "after-approve": "The gate said yes and the approval is queued for the journal; nothing of it is durable.",
    "after-outbox-push": "The approved request is in the queue of requests.",
    "before-sign": "The dispatcher took the request from the queue and has not signed it.",
    "after-sign": "The request is signed; that is recorded nowhere.",
    "after-sent-record": "The record that the request goes is queued for the journal.",
    "before-durable": "The writer took records from the queue and has not written them.",
    "after-write-before-sync": "Records are in the file and not yet synced.",
    "after-sync-before-acknowledge": "Records are synced; what waits for them does not know it yet.",
    "after-durable-before-write": "The record of a new order is durable; no byte of the order has left.",
    "after-write-before-answer": "A new order was given to the connector; on a warm connection its bytes have left.",
    "after-answer-before-record": "The venue's answer has arrived and is recorded nowhere.",
    "after-answer-recorded": "What the answer says is queued for the journal and applied to the state.",
    "on-fill-before-record": "A fill is known and recorded nowhere.",
    "after-fill-recorded": "A fill is queued for the journal and moves no position yet.",
    "cancel-before-send": "The record of a cancel is durable; the cancel has not left.",
    "cancel-after-send": "A cancel was given to the connector; its answer has not come.",
    "amend-before-send": "The record of an amend is durable; the amend has not left.",
    "amend-after-send": "An amend was given to the connector; its answer has not come.",
    "move-before-send": "The record of a move of funds is durable; nothing of it has left.",
    "move-after-send": "The venue's answer to a move of funds has arrived and is recorded nowhere.",
    "segment-rotation": "The next journal segment has been created; its header is not durable.",
    "snapshot-before-rename": "A snapshot of the state is written beside its place.",
    "snapshot-after-rename": "A snapshot has its name; the directory is not synced, no older one has been dropped.",
    "before-ledger-commit": "The ledger's rows are written and not committed.",
    "after-ledger-commit": "The ledger's rows are committed; the ledger does not know it yet.",
    "recovery-after-fold": "A start has replayed the journal and has taken no epoch.",
    "epoch-before-rename": "The next epoch is written beside its place.",
    "epoch-after-rename": "The next epoch has its name; the directory is not synced.",
    "recovery-after-epoch": "A start has taken its epoch and queued the record of it.",
    "reconcile-mid-pass": "The venue's open orders are taken in; its fills and positions are not.",
    "shutdown-before-cancel": "A stop was asked for; no cancel has been asked for.",
    "shutdown-after-cancel": "The cancels of a stop are asked for; none is proved.",
}
"""Every fail point, and what is true there."""

_armed = ""
_passages_left = 0
is_armed = False
"""Whether any point is armed: asked before `reach` where every order passes, to save the call."""


def arm(text: str) -> None:
    """Have the process kill itself at a point: `name`, or `name:N` for its N-th passage from now on. Empty: at none.

    Raises `ConfigurationError` for a name that is not in `POINTS` and for an N that is not a number from 1.
    """
    global _armed, _passages_left, is_armed
    name, colon, count = text.partition(":")
    if name and name not in POINTS:
        remedy = hint(name, POINTS, closeness_min=CLOSENESS_MIN) or f"; known: {', '.join(POINTS)}"
        raise ConfigurationError(f'{VARIABLE}: no fail point "{name}"{remedy}')
    if colon and (not count.isdecimal() or int(count) < 1):
        raise ConfigurationError(f'{VARIABLE}: "{count}" is not a number of passages; write it like {name}:3')
    _passages_left = int(count) if colon else 1
    _armed, is_armed = name, bool(name)


def reach(name: str) -> None:
    """Pass the point `name`, one of `POINTS`: nothing happens unless it is the armed one."""
    if _armed and name == _armed:
        _pass()


def reach_soon(name: str) -> None:
    """Pass the point in the loop's next round: when what was written in this one has left. Needs a running loop."""
    if _armed and name == _armed:
        asyncio.get_running_loop().call_soon(_pass)


def _pass() -> None:
    global _passages_left
    _passages_left -= 1
    if _passages_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get(VARIABLE, ""))
