"""The outputs: a real HTTP server takes the webhooks, a real program the commands.

The shapes are those of the vendors' pages:
* Slack: docs.slack.dev, "Sending messages using incoming webhooks": `POST … {"text": "Hello, world."}` with the content
  type application/json, answered by 200 and `ok`; "Formatting message text": `&`, `<`, `>` become `&amp;`, `&lt;`,
  `&gt;`.
* Discord: docs.discord.com/developers/resources/webhook, "Execute Webhook": `content` of up to 2,000 characters, with
  `wait=true` in the query for an answer that says whether the message was saved; `{"parse": []}` of `allowed_mentions`
  suppresses all mentions.
* Telegram: core.telegram.org/bots/api, "sendMessage": `chat_id` and `text` of 1 to 4,096 characters.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from framework.config.model import AlertOutputRow, AlertSettings
from framework.domain.errors import ConfigurationError
from framework.ops.alerts.alert import ALERT_TEXT_MAX, NoticeStatus
from framework.ops.alerts.outputs import AlertNotTaken, CommandOutput, WebhookOutput, make_outputs
from framework.runtime.secrets import MASK, SecretRegistry
from tests.framework.ops.alerts.receiver import (
    ALERT,
    Receiver,
    command_row,
    message,
    receiving,
    secret_file,
    webhook_row,
)
from tests.support.world import until

TEXT = "PAGE desk: venue tide is down: <reset> & gone, @everyone\nvenue_down:tide, since 2026-11-30T00:53:20Z; "
TEXT += "tidegate ack venue_down:tide"
SECRET = "XXXXXXXXXXXXXXXXXXXXXXXX"


async def posted(row: dict[str, Any], directory: Path, *, path: str = f"/services/T0/B0/{SECRET}") -> Receiver:
    """What a webhook posts of an alert."""
    async with receiving() as receiver:
        output = WebhookOutput("out", webhook_row(address_path=receiver.file(directory, path), **row), SecretRegistry())
        assert await output.send(message()) == "HTTP 200"
        await output.close()
    return receiver


async def test_slack_when_an_alert_is_sent_then_it_has_the_documented_form(tmp_path: Path) -> None:
    receiver = await posted({"template": "slack"}, tmp_path)
    escaped = TEXT.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert receiver.bodies == [{"text": escaped}]
    assert receiver.posted[0].path == f"/services/T0/B0/{SECRET}"
    assert receiver.posted[0].headers["Content-Type"] == "application/json"


async def test_discord_when_an_alert_is_sent_then_it_has_the_documented_form_and_calls_nobody(tmp_path: Path) -> None:
    receiver = await posted({"template": "discord"}, tmp_path, path="/api/webhooks/1/abc?thread_id=7")
    assert receiver.bodies == [{"content": TEXT, "allowed_mentions": {"parse": []}}]
    assert receiver.posted[0].path == "/api/webhooks/1/abc?thread_id=7&wait=true"


async def test_telegram_when_an_alert_is_sent_then_it_has_the_documented_form(tmp_path: Path) -> None:
    receiver = await posted({"template": "telegram", "chat_id": "-100123"}, tmp_path, path="/bot1:AbC/sendMessage")
    assert receiver.bodies == [{"chat_id": "-100123", "text": TEXT}]
    assert receiver.posted[0].path == "/bot1:AbC/sendMessage"


async def test_json_when_an_alert_is_sent_then_it_is_the_object_that_the_page_shows_with_the_token_if_there_is_one(
    tmp_path: Path,
) -> None:
    token = secret_file(tmp_path / "token", "tok-123456")
    receiver = await posted({"token_path": token}, tmp_path)
    (body,) = receiver.bodies
    assert body == {
        "daemon": "desk", "status": "firing", "level": "page", "alert": "venue_down:tide", "kind": "venue_down",
        "scope": "venue", "target": "tide", "text": ALERT.text, "since": "2026-11-30T00:53:20Z", "until": "", "sent": 0,
    }  # fmt: skip
    assert receiver.posted[0].headers["Authorization"] == "Bearer tok-123456"
    shown = Path("docs/alerts.md").read_text().split("```json\n")[1].split("```")[0]
    assert list(json.loads(shown)) == list(body)


@pytest.mark.parametrize("template", ["slack", "discord", "telegram"])
async def test_text_when_it_is_as_long_as_can_be_then_every_receiver_takes_it(tmp_path: Path, template: str) -> None:
    long = message(text="x" * 9_000, target="t" * 100, sent=9)
    async with receiving() as receiver:
        row = webhook_row(template=template, chat_id="1", address_path=receiver.file(tmp_path))
        output = WebhookOutput("out", row, SecretRegistry())
        await output.send(long)
        await output.close()
    (text,) = [body.get("text") or body.get("content") for body in receiver.bodies]
    assert ALERT_TEXT_MAX < len(text) <= 2_000


async def test_message_when_the_alert_is_over_or_a_test_then_it_says_so(tmp_path: Path) -> None:
    async with receiving() as receiver:
        row = webhook_row(template="slack", address_path=receiver.file(tmp_path))
        output = WebhookOutput("out", row, SecretRegistry())
        await output.send(message(NoticeStatus.RESOLVED, text="down"))
        await output.send(message(NoticeStatus.TEST, text="a test"))
        await output.send(message(text="down", sent=2))
        await output.close()
    over, test, again = [body["text"] for body in receiver.bodies]
    assert over.splitlines() == [
        "RESOLVED desk: venue_down:tide is over, from 2026-11-30T00:53:20Z to 2026-11-30T00:54:50Z",
        "it was last: down",
    ]
    assert test == "TEST desk: a test"
    assert "since 2026-11-30T00:53:20Z, sent twice before; tidegate ack" in again


@pytest.mark.parametrize(
    ("answer", "words", "is_final", "after_s"),
    [
        (lambda: web.Response(status=404, text="no_service"), "HTTP 404: no_service", True, 0),
        (lambda: web.Response(status=400, text='{"ok":false}'), 'HTTP 400: {"ok":false}', True, 0),
        (lambda: web.Response(status=302, headers={"Location": "http://elsewhere"}), "redirects are not", True, 0),
        (lambda: web.Response(status=500, text="a\n\x1b[31mb"), "HTTP 500: a ?[31mb", False, 0),
        (lambda: web.Response(status=429, headers={"Retry-After": "7"}), "HTTP 429", False, 7),
        (lambda: web.Response(status=429, headers={"Retry-After": "soon"}), "HTTP 429", False, 0),
        (lambda: web.Response(status=408), "HTTP 408", False, 0),
    ],
)
async def test_webhook_when_the_answer_is_no_then_it_says_so_and_whether_to_try_again(
    tmp_path: Path, answer: Callable[[], web.Response], words: str, is_final: bool, after_s: float
) -> None:
    async with receiving() as receiver:
        receiver.answers.append(answer())
        output = WebhookOutput("out", webhook_row(address_path=receiver.file(tmp_path)), SecretRegistry())
        with pytest.raises(AlertNotTaken) as caught:
            await output.send(message())
        await output.close()
    assert words in str(caught.value)
    assert (caught.value.is_final, caught.value.after_s) == (is_final, after_s)
    assert len(receiver.posted) == 1


async def test_webhook_when_nobody_answers_in_time_then_it_is_given_up(tmp_path: Path) -> None:
    async with receiving() as receiver:
        receiver.delay_s = 30
        output = WebhookOutput(
            "out", webhook_row(address_path=receiver.file(tmp_path), timeout_ms=100), SecretRegistry()
        )
        with pytest.raises(AlertNotTaken, match=r"no answer within 0\.1 s"):
            await output.send(message())
        await output.close()


async def test_webhook_when_nobody_listens_then_the_reason_has_no_part_of_the_address_that_is_secret(
    tmp_path: Path,
) -> None:
    secrets = SecretRegistry()
    file = secret_file(tmp_path / "address", f"http://u:pass-word@127.0.0.1:1/bot42:{SECRET}?token=q-secret-q")
    output = WebhookOutput("out", webhook_row(address_path=file), secrets)
    with pytest.raises(AlertNotTaken) as caught:
        await output.send(message())
    await output.close()
    assert not [word for word in (SECRET, "pass-word", "q-secret-q") if word in str(caught.value)]
    for shown in (f"bot42:{SECRET}", f"42:{SECRET}", file.read_text(), "token=q-secret-q"):
        assert MASK in secrets.redact(shown)
        assert SECRET not in secrets.redact(shown)


async def test_webhook_when_the_answer_repeats_the_secret_then_the_reason_does_not_not_even_a_part(
    tmp_path: Path,
) -> None:
    async with receiving() as receiver:
        receiver.answers.append(web.Response(status=403, text="x" * 190 + f" {SECRET} is wrong"))
        output = WebhookOutput("out", webhook_row(address_path=receiver.file(tmp_path)), SecretRegistry())
        with pytest.raises(AlertNotTaken) as caught:
            await output.send(message())
        await output.close()
    assert "XXX" not in str(caught.value)


async def test_message_when_its_text_has_a_secret_then_it_is_masked(tmp_path: Path) -> None:
    secrets = SecretRegistry()
    secrets.add("hunter2-key")
    async with receiving() as receiver:
        output = WebhookOutput("out", webhook_row(address_path=receiver.file(tmp_path)), secrets)
        await output.send(message(text="it raised: hunter2-key is wrong"))
        await output.close()
    assert receiver.bodies[0]["text"] == f"it raised: {MASK} is wrong"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("https://host/x", 0o644, "let others read it"),
        ("", 0o600, "is empty"),
        ("ftp://host/x", 0o600, "must hold an address"),
        ("hooks.example/x", 0o600, "must hold an address"),
        ("https://host:port/x", 0o600, "must hold an address"),
        ("https://host/a b-secret", 0o600, "one line without spaces"),
        ("https://host/\u00fc-secret", 0o600, "one line without spaces"),
    ],
)
def test_address_when_its_file_can_not_be_used_then_one_line_says_why_and_shows_nothing_of_it(
    tmp_path: Path, content: str, mode: int, words: str
) -> None:
    file = secret_file(tmp_path / "address", content)
    file.chmod(mode)
    rows = {"out": webhook_row(address_path=file), "off": webhook_row(address_path=tmp_path / "none", enabled=False)}
    with pytest.raises(ConfigurationError) as caught:
        make_outputs(AlertSettings(outputs=rows), SecretRegistry())
    (line,) = str(caught.value).splitlines()
    assert line.startswith("alerts.outputs.out: ")
    assert words in line
    assert not content or content not in line


def test_outputs_when_several_can_not_be_made_then_each_has_its_line(tmp_path: Path) -> None:
    rows = {name: webhook_row(address_path=tmp_path / name) for name in ("one", "two")}
    with pytest.raises(ConfigurationError) as caught:
        make_outputs(AlertSettings(outputs=rows), SecretRegistry())
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["alerts.outputs.one", "alerts.outputs.two"]
    assert all("can't be read (No such file or directory)" in line for line in lines)


def program(directory: Path, text: str) -> str:
    """An executable shell script."""
    path = directory / "page"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def command(row: AlertOutputRow) -> CommandOutput:
    return CommandOutput("out", row, SecretRegistry())


async def test_command_when_an_alert_is_sent_then_the_program_gets_it_as_json_and_its_arguments_untouched(
    tmp_path: Path,
) -> None:
    script = program(tmp_path, f'cat > {tmp_path}/in; printf "%s" "$1" > {tmp_path}/argument')
    output = command(command_row(script, "$(id) *"))
    assert await output.send(message()) == "exit code 0"
    assert json.loads((tmp_path / "in").read_text())["alert"] == "venue_down:tide"
    assert (tmp_path / "argument").read_text() == "$(id) *"


async def test_command_when_it_reads_nothing_then_it_has_taken_the_message_all_the_same(tmp_path: Path) -> None:
    assert await command(command_row(program(tmp_path, "exit 0"))).send(message(text="x" * 200_000)) == "exit code 0"


async def test_command_when_it_fails_then_its_code_and_its_first_words_are_the_reason(tmp_path: Path) -> None:
    script = program(tmp_path, 'echo "no route" >&2; yes oh | head -c 30000 >&2; exit 3')
    with pytest.raises(AlertNotTaken, match=r"^exit code 3: no route"):
        await command(command_row(script)).send(message())


async def test_command_when_it_is_not_there_then_the_message_is_refused_for_good(tmp_path: Path) -> None:
    with pytest.raises(AlertNotTaken, match="can't be run") as caught:
        await command(command_row(str(tmp_path / "none"))).send(message())
    assert caught.value.is_final


def is_alive(file: Path) -> bool:
    """Whether the process whose number is in the file still runs."""
    status = Path(f"/proc/{file.read_text().strip()}/stat")
    return status.exists() and status.read_text().rpartition(") ")[2].split()[0] != "Z"


async def test_command_when_it_fails_without_a_word_then_its_code_is_the_reason(tmp_path: Path) -> None:
    script = program(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; exit 4")
    try:
        with pytest.raises(AlertNotTaken, match=r"^exit code 4$"):
            await command(command_row(script)).send(message())
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)


async def test_command_when_it_hangs_then_it_is_killed_with_what_it_has_started(tmp_path: Path) -> None:
    script = program(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(AlertNotTaken, match=r"not done within 1 s, so it was killed"):
        await command(command_row(script, timeout_ms=1_000)).send(message())
    await until(lambda: not is_alive(tmp_path / "child"), timeout_s=5)


async def test_command_when_the_daemon_stops_meanwhile_then_it_is_killed(tmp_path: Path) -> None:
    script = program(tmp_path, f"echo $$ > {tmp_path}/own; exec sleep 600")
    sending = asyncio.create_task(command(command_row(script, timeout_ms=30_000)).send(message()))
    await until(lambda: (tmp_path / "own").exists() and (tmp_path / "own").read_text(), timeout_s=10)
    sending.cancel()
    await asyncio.wait((sending,))
    await until(lambda: not is_alive(tmp_path / "own"), timeout_s=5)


async def test_command_when_what_it_started_lives_on_then_it_has_taken_the_message(tmp_path: Path) -> None:
    script = program(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; exit 0")
    try:
        assert await command(command_row(script)).send(message()) == "exit code 0"
        assert is_alive(tmp_path / "child")
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)


async def test_command_when_the_environment_has_our_variables_then_the_program_does_not_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_VENUES__KALSHI__SETTINGS__PASSPHRASE", "hunter2")
    monkeypatch.setenv("PAGER_TEAM", "desk")
    await command(command_row(program(tmp_path, f"env > {tmp_path}/env"))).send(message())
    environment = (tmp_path / "env").read_text()
    assert "PAGER_TEAM=desk" in environment
    assert "TIDEGATE_" not in environment
