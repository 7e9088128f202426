"""Keys as a usual list: what is sent, how its rows are read, and which answers prove nothing."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from connectors.client.rest import SignedRest, request_of
from connectors.client.usual.keys import KeyList, ListedKeys, shown_ns, sign_by_session
from connectors.client.venue_time import VenueTime
from connectors.client.wire.answers import UnreadableAnswer
from connectors.client.wire.calls import Call
from connectors.client.wire.rows import Row
from framework.domain.errors import ConfigurationError, NotSupported, OutcomeUnknown
from framework.domain.venue import KeyForm, KeyTerms, KeyVerb, ListedKey, MadeKey
from tests.connectors.client.toy_rest import rules
from tests.connectors.support import Answer, LoopClock, ScriptedHttp, answering, run_jumping


class Page(msgspec.Struct):
    items: tuple[Row, ...]


LIST = KeyList(
    terms=KeyTerms(verbs=frozenset(KeyVerb), scopes={}, label_chars_max=9),
    page=Page,
    next_page=lambda *_: None,
    words={"id": "no", "label": "called", "ip_list": "from", "is_active": "state", "expires_ns": "end", "key": "shown"},
    made={"id": "no", "key": "name", "secret": "hush"},
    active="ON",
    path="/my/keys",
)


def ask(http: ScriptedHttp, question: str, *words: object) -> object:
    """What a verb of the keys answers."""

    async def main(clock: LoopClock) -> object:
        rest = SignedRest(http, request_of, rules(), clock=clock, time=VenueTime(clock))
        keys = ListedKeys("venue", rest, LIST, own_key="k-12345", is_loopback=True)
        return await getattr(keys, question)(*words)

    return run_jumping(main)


def rows(*items: object) -> Answer:
    return 200, json.dumps({"items": items}).encode()


def test_list_when_read_then_words_state_and_the_own_key_are_the_venue_s() -> None:
    one = {"no": "1", "called": "bot", "from": ["::1"], "state": "ON", "end": 1_800_000_000_000, "shown": "k-123"}
    other = {"no": "2", "state": "OFF", "end": "whenever", "shown": "k-9", "more": {}}
    assert ask(answering("GET", "/v1/my/keys", rows(one, other)), "list_keys") == (
        ListedKey(id="1", label="bot", key="k-123", ip_list=("::1",), is_own=True, expires_ns=1_800_000_000 * 10**9),
        ListedKey(id="2", label="", key="k-9", is_active=False),
    )


@pytest.mark.parametrize("row", [{}, {"no": 5}, {"no": "1", "from": "anywhere"}])
def test_list_when_a_key_can_not_be_read_then_it_is_not_left_out(row: Row) -> None:
    with pytest.raises(UnreadableAnswer, match="/my/keys: a key can't be read: "):
        ask(answering("GET", "/v1/my/keys", rows(row)), "list_keys")


def test_create_when_asked_then_the_form_is_sent_in_the_venue_s_words_and_the_secret_is_in_no_message() -> None:
    made: Answer = (201, b'{"no":"7","name":"k-7","hush":"s3cret"}')
    http = answering("POST", "/v1/my/keys", made, (201, b'{"no":"7","hush":{"s3cret":1}}'))
    form = KeyForm(label="bot", ip_list=(), expires_ns=1_800_000_000 * 10**9 + 5)
    assert ask(http, "create_key", form) == MadeKey(id="7", key="k-7", secret="s3cret")
    assert json.loads(http.requests[0].body) == {"called": "bot", "from": [], "end": 1_800_000_000_000}
    with pytest.raises(OutcomeUnknown) as unknown:
        ask(http, "create_key", KeyForm())
    assert "s3cret" not in str(unknown.value)
    assert http.requests[1].body == b""


def test_revoke_when_the_id_has_a_slash_then_it_is_one_part_of_the_path() -> None:
    http = answering("DELETE", "/v1/my/keys/a%2Fb", (204, b""))
    ask(http, "revoke_key", "a/b")
    assert http.targets("DELETE") == ["/v1/my/keys/a%2Fb"]


@pytest.mark.parametrize("body", [b'{"ok":false}', b"<html>", b"\xff"])
def test_change_when_its_answer_does_not_say_that_it_was_done_then_it_is_not_known(body: bytes) -> None:
    with pytest.raises(OutcomeUnknown):
        ask(answering("PATCH", "/v1/my/keys/1", (200, body)), "update_key", "1", KeyForm(label="x"))


@pytest.mark.parametrize("body", [b'{"ok":true}', b'{"message":"gone"}', b"", b"[]"])
def test_change_when_it_succeeds_then_any_form_of_saying_so_will_do(body: bytes) -> None:
    ask(answering("PATCH", "/v1/my/keys/1", (200, body)), "update_key", "1", KeyForm(label="x"))


def test_generate_when_asked_then_there_is_no_such_thing() -> None:
    with pytest.raises(NotSupported, match="create"):
        ask(ScriptedHttp(), "generate_key", KeyForm())


@pytest.mark.parametrize(("value", "ns"), [(None, 0), ("", 0), ("soon", 0), ({}, 0), ("2026-03-25T08:00:00.000Z", 1)])
def test_time_when_it_is_shown_then_one_that_can_not_be_read_is_none(value: object, ns: int) -> None:
    assert shown_ns(value) == ns * 1_774_425_600 * 10**9


def test_session_when_its_token_is_read_then_every_request_carries_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("eyJh.b.c\n")
    request = sign_by_session(file, "--token-file", remedy="")(Call("PATCH", "/x", b"{}"))
    assert dict(request.headers) == {"Authorization": "Bearer eyJh.b.c", "Content-Type": "application/json"}
    with pytest.raises(ConfigurationError, match="session_token_path: the venue wants the token of a session"):
        sign_by_session(None, "session_token_path", remedy="log in")
