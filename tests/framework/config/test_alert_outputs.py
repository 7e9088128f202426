"""`[alerts]`: what is wrong with it is said in one line each, with file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.cli.main import main
from framework.config.layers import load
from framework.config.resolve import resolve
from tests.support.command_line import Capsys

WEBHOOK = 'use = "webhook"\naddress_path = "secret"\n'


def problems(folder: Path, capsys: Capsys, text: str) -> list[str]:
    """What `check-config` says of the default with these alerts."""
    file = folder / "my.toml"
    file.write_text(text)
    assert main(["check-config", "-c", "sandbox", "-c", str(file)]) == 2
    return [line.replace(str(folder), "") for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ('use = "webhook"', "/my.toml: alerts.outputs.out.address_path: is missing; name a file"),
        ('use = "command"', "/my.toml: alerts.outputs.out.argv: is missing; give the program"),
        ("", "alerts.outputs.out.use: is missing; give: webhook: each alert is"),
        ('use = "email"', "alerts.outputs.out.use: 'email': is not 'webhook' or 'command'"),
        (WEBHOOK + 'argv = ["page"]', 'alerts.outputs.out.argv: is for use = "command"; this output is a webhook;'),
        ('use = "command"\nargv = ["sh"]\nproxy = ""', 'alerts.outputs.out.proxy: is for use = "webhook"; this output'),
        (
            'use = "command"\nargv = ["no-such-program"]',
            'alerts.outputs.out.argv: "no-such-program" is no program that can be run here; give its whole path',
        ),
        (WEBHOOK + 'template = "telegram"', "alerts.outputs.out.chat_id: is missing"),
        (WEBHOOK + 'chat_id = "1"', 'alerts.outputs.out.chat_id: is for template = "telegram", and this is "json"'),
        (
            WEBHOOK + 'template = "slack"\ntoken_path = "t"',
            'alerts.outputs.out.token_path: is for template = "json", and this is "slack"',
        ),
        (WEBHOOK + 'template = "teams"', "alerts.outputs.out.template: 'teams': is not 'json', 'slack', 'discord'"),
        (WEBHOOK + 'level = "pages"', "alerts.outputs.out.level: 'pages': is not 'page' or 'ticket'"),
        (WEBHOOK + "timeout_ms = 99", "alerts.outputs.out.timeout_ms: 99: is below 100"),
        (WEBHOOK + "levl = 1", 'alerts.outputs.out.levl: unknown key "levl"; did you mean "level"?'),
        (WEBHOOK + 'token = "abc"', "alerts.outputs.out.token: looks like a secret, and those don't belong here"),
        (WEBHOOK + 'proxy = "socks://me:hunter2@p"', "alerts.outputs.out.proxy: (its value is not shown): must be"),
        (WEBHOOK, "alerts.outputs.out: /secret: secret file can't be read (No such file or directory)"),
    ],
)
def test_output_when_it_can_not_be_used_then_one_line_says_what_where_and_what_to_do(
    tmp_path: Path, capsys: Capsys, settings: str, problem: str
) -> None:
    (line,) = problems(tmp_path, capsys, f"[alerts.outputs.out]\n{settings}\n")
    assert problem in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("repeat_s = -1", "alerts.repeat_s: -1: is below 0"),
        ('name = ""', "alerts.name: '': is empty"),
        ("repeats_s = 1", 'alerts.repeats_s: unknown key "repeats_s"; did you mean "repeat_s"?'),
        ('[alerts.outputs.Phone]\nuse = "webhook"', "alerts.outputs.Phone: "),
    ],
)
def test_alerts_when_a_key_can_not_be_used_then_one_line_says_so(
    tmp_path: Path, capsys: Capsys, settings: str, problem: str
) -> None:
    (line,) = problems(tmp_path, capsys, f"[alerts]\n{settings}\n")
    assert problem in line


def test_output_when_it_is_switched_off_then_it_is_not_looked_at_and_that_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('[alerts.outputs.out]\nuse = "webhook"\nenabled = false\n')
    found = resolve(load([Path("config/sandbox.toml"), file], environ={}))
    assert found.notes == (f"{file}: alerts.outputs.out.enabled = false: it is switched off",)


def test_paths_when_they_are_relative_then_they_count_from_the_file_that_names_them(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f"[alerts.outputs.out]\n{WEBHOOK}")
    (row,) = load([Path("config/sandbox.toml"), file], environ={}).config.alerts.outputs.values()
    assert row.address_path == tmp_path / "secret"


def test_settings_when_they_come_from_the_environment_then_they_count(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(f"[alerts.outputs.out]\n{WEBHOOK}")
    environ = {"TIDEGATE_ALERTS__OUTPUTS__OUT__LEVEL": "page", "TIDEGATE_ALERTS__REPEAT_S": "60"}
    alerts = load([Path("config/sandbox.toml"), file], environ=environ).config.alerts
    assert (alerts.repeat_s, alerts.outputs["out"].level) == (60, "page")


def test_show_config_when_there_is_an_output_then_it_has_the_place_of_its_secret_and_not_the_secret(
    tmp_path: Path, capsys: Capsys
) -> None:
    (tmp_path / "secret").write_text("https://hooks.example/hunter2")
    file = tmp_path / "my.toml"
    file.write_text(f"[alerts.outputs.out]\n{WEBHOOK}")
    assert main(["show-config", "-c", "sandbox", "-c", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f'address_path = "{tmp_path}/secret"' in shown
    assert "hunter2" not in shown
