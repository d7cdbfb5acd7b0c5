"""The command line itself: errors in three lines, `up`'s arguments, `env`, and `doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace_local import cli, console, doctor, env, stack, up
from headrace_local.errors import PlatformError, UserError
from headrace_local.stack import Stack

AWKWARD = "postgresql://headrace:a b'c$d@127.0.0.1:5432/warehouse"
COMMANDS = (
    "up",
    "drop",
    "status",
    "show",
    "check",
    "contract",
    "verify",
    "backfill",
    "rebuild",
    "quarantine",
    "replay",
    "revert",
    "dead",
    "redrive",
    "keys",
    "demo",
    "env",
    "doctor",
)


@pytest.fixture(autouse=True)
def fresh_consoles() -> Iterator[None]:
    """They keep the stream that they found first, which is another one in each test."""
    console.out.cache_clear()
    console.err.cache_clear()
    yield
    console.out.cache_clear()
    console.err.cache_clear()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a platform."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HEADRACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(stack.PLACE_VARIABLE, str(tmp_path / "stack.json"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def running(nowhere: Path) -> Stack:
    """A stack file of a platform that seems to run."""
    found = Stack(
        api_url="http://127.0.0.1:8080",
        api_key="hr_local_secret",
        aws_endpoint_url="http://127.0.0.1:4566",
        aws_region="us-east-1",
        aws_access_key_id="headrace",
        aws_secret_access_key="secret",
        lake_bucket="headrace-lake",
        quarantine_bucket="headrace-quarantine",
        bus_name="headrace",
        log_table="headrace-log",
        keys_table="headrace-keys",
        warehouse_dsn=AWKWARD,
        inboxes={name: f"http://q/{name}" for name in ("router", "loader", "logger")},
        dead_letter_queues={name: f"http://d/{name}" for name in ("router", "loader", "logger")},
        processes={"api": [os.getpid()]},
    )
    stack.write(found, nowhere)
    return found


def command_that_raises(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def env() -> None:
        raise error

    monkeypatch.setattr(cli, "import_module", lambda _name: SimpleNamespace(env=env))


def in_shell(lines: str, *names: str, **environment: str) -> list[str]:
    """What the variables are in a shell that has evaluated the lines."""
    show = "; ".join(f'printf "%s\\n" "${{{name}-unset}}"' for name in names)
    done = subprocess.run(
        ["sh", "-euc", f"{lines}\n{show}"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "what"),
    [
        (UserError("No such thing.", "here", "Look there."), 2, "error: No such thing."),
        (PlatformError("It broke.", "here", "Look there."), 1, "error: It broke."),
        (KeyError("x"), 1, "error: This is a bug in Headrace: KeyError: 'x'"),
    ],
    ids=["user", "platform", "bug"],
)
def test_error_is_three_lines_on_stderr(
    error: Exception,
    status: int,
    what: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command_that_raises(error, monkeypatch)
    assert cli.run(["env"]) == status
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out == ""
    assert lines[0] == what
    assert [line.split(":")[0] for line in lines] == ["error", "where", "to do"]


@pytest.mark.parametrize("error", [UserError("a", "b", "c"), ValueError("v")], ids=["user", "bug"])
def test_traceback_is_shown_with_debug_only(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command_that_raises(error, monkeypatch)
    cli.run(["env"])
    assert "Traceback" not in capsys.readouterr().err
    cli.run(["env"], debug=True)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "to do: " in told


@pytest.mark.parametrize("arguments", [["--debug", "env"], ["env", "--debug"]], ids=" ".join)
def test_debug_may_stand_before_or_after_the_command(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["headrace", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["--no-such-option"],
        ["up", "--no-such-option"],
        ["up", "--api-port", "many"],
        ["up", "--api-port", "70000"],
        ["show"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_the_users_mistake_in_three_lines(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "where", "to do"]
    assert "--help" in lines[2]


def test_ctrl_c_ends_a_command_without_a_word_about_bugs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command_that_raises(KeyboardInterrupt(), monkeypatch)
    assert cli.run(["env"]) == 130
    assert "bug" not in capsys.readouterr().err


# --- the list of commands -------------------------------------------------------------------


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.partition("Commands:")[2].splitlines() if line] == [
        *COMMANDS
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_tells_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"Usage: headrace {command}")
    assert "--help" in told


def test_help_imports_no_client() -> None:
    heavy = "{'boto3', 'botocore', 'psycopg', 'pydantic', 'rich', 'httpx', 'psutil'}"
    script = (
        "import sys; from headrace_local import cli; cli.run(['--help']); "
        f"sys.exit(' '.join(sorted({heavy} & sys.modules.keys())) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"headrace {importlib.metadata.version('headrace-local')}\n"


# --- up -------------------------------------------------------------------------------------


def test_scale_says_how_many_of_which_service() -> None:
    assert up.parse_scale("loader=3, router=2") == {"loader": 3, "router": 2}
    assert up.parse_scale("") == {}


@pytest.mark.parametrize(
    "text",
    ["loader", "loader=", "loader=x", "loader=-1", "loader=0", "loader=33", "aws=2", "api=2"],
)
def test_wrong_scale_is_the_users_mistake(text: str) -> None:
    with pytest.raises(UserError) as told:
        up.parse_scale(text)
    assert f"--scale {text}" in told.value.where


# --- env ------------------------------------------------------------------------------------


def test_exports_reach_the_shell_whole(running: Stack) -> None:
    names = ("AWS_ENDPOINT_URL", "LAKE_BUCKET", "WAREHOUSE_DSN", "HEADRACE_API_URL")
    assert in_shell(env.exports(running), *names) == [
        running.aws_endpoint_url,
        running.lake_bucket,
        AWKWARD,
        running.api_url,
    ]


def test_exports_take_away_what_would_reach_another_account(running: Stack) -> None:
    lines = env.exports(running)
    assert in_shell(lines, "AWS_PROFILE", AWS_PROFILE="production") == ["unset"]


def test_unset_takes_away_every_export_without_a_platform(
    running: Stack, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.remove(nowhere)
    assert cli.run(["env", "--unset"]) == 0
    unset = capsys.readouterr().out
    names = tuple(env.variables(running))
    assert set(shlex.split(unset)[1:]) == set(names)
    assert set(in_shell(f"{env.exports(running)}\n{unset}", *names)) == {"unset"}


def test_env_as_json_is_the_stack(running: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["env", "--json"]) == 0
    assert Stack.model_validate_json(capsys.readouterr().out) == running


def test_env_without_a_platform_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["env"]) == 2
    assert "headrace up" in capsys.readouterr().err


# --- doctor ---------------------------------------------------------------------------------


def finding(findings: Any, subject: str) -> doctor.Finding:
    (found,) = [one for one in findings if one.subject == subject]
    return found  # type: ignore[no-any-return]  # the checks give nothing else


def test_doctor_finds_this_machine_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "Python" in told
    assert "headrace up" in told


def test_doctor_fails_with_a_remedy_when_a_need_is_not_met(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "NEEDED_PYTHON", (99, 0))
    assert cli.run(["doctor"]) == 1
    assert "Install Python" in capsys.readouterr().out


def test_doctor_finds_a_package_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", {"no-such-package": "no_such", "psutil": "no_such"})
    found = list(doctor.packages())
    assert finding(found, "no-such-package").found == "not installed"
    assert "no_such" in finding(found, "psutil").found
    assert not any(one.good for one in found if one.subject != "botocore")


def test_doctor_finds_the_emulators_pin_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: ["botocore==0.1"])
    found = finding(doctor.packages(), "botocore")
    assert not found.good
    assert found.needed
    assert "ministack wants 0.1" in found.found


def test_doctor_names_who_holds_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(doctor, "API_PORT", port)
        (held,) = doctor.ports()
    assert f"(pid {os.getpid()})" in held.found
    assert not held.needed


def test_doctor_wants_a_folder_where_data_goes(nowhere: Path) -> None:
    assert finding(doctor.disk(), "data folder").good
    (nowhere / ".headrace").write_text("a file")
    assert not finding(doctor.disk(), "data folder").good


def test_doctor_wants_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "NEEDED_DISK_BYTES", 10**18)
    assert not finding(doctor.disk(), "disk").good


def test_doctor_says_that_a_real_account_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    (found,) = doctor.credentials()
    assert "AWS_PROFILE" in found.found
    assert "ignores" in found.remedy
    assert not found.needed


def test_doctor_knows_headraces_own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "headrace")
    (found,) = doctor.credentials()
    assert found.good


def test_doctor_sees_a_running_platform(running: Stack) -> None:
    (found,) = doctor.platform()
    assert found.good
    assert running.api_url in found.found
