"""infra/terraform/run-task: what it asks AWS for, and what it ends with. `aws` is a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tools.terraform_blocks import TERRAFORM

AWS = """\
#!/bin/sh
printf '%s\\n' "$@" >> "$CALLS"
printf '%s\\n' --- >> "$CALLS"
case "$1 $2 $*" in
    "ecs run-task"*) printf '%s\\n' "$TASK" ;;
    *lastStatus*) echo STOPPED ;;
    *exitCode*) printf '%s\\n' "$STATUS" ;;
    *stoppedReason*) echo 'the image is missing' ;;
    "logs get-log-events"*) echo 'a line of the log' ;;
esac
"""
ARN = "arn:aws:ecs:us-east-1:111122223333:task/headrace/0123"


def run(
    folder: Path, *arguments: str, task: str = ARN, status: str = "0"
) -> subprocess.CompletedProcess[str]:
    (folder / "aws").write_text(AWS)
    (folder / "aws").chmod(0o755)
    told = {"CALLS": str(folder / "calls"), "TASK": task, "STATUS": status}
    return subprocess.run(
        ["sh", TERRAFORM / "run-task", "headrace", "subnet-a,subnet-b", "sg-1", *arguments],
        env=os.environ | told | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(folder: Path) -> list[str]:
    """The arguments of the first call."""
    return (folder / "calls").read_text().split("---\n")[0].splitlines()


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_task_is_run_and_its_log_is_printed(tmp_path: Path) -> None:
    done = run(tmp_path, "verifier", "--", "headrace_verifier.check", "--repair")
    assert (done.returncode, done.stdout) == (0, "a line of the log\n")
    words = asked(tmp_path)
    assert after(words, "--cluster") == "headrace"
    assert after(words, "--task-definition") == "headrace-verifier"
    assert "subnets=[subnet-a,subnet-b],securityGroups=[sg-1]" in after(
        words, "--network-configuration"
    )
    assert json.loads(after(words, "--overrides")) == {
        "containerOverrides": [
            {
                "name": "verifier",
                "command": ["python", "-m", "headrace_verifier.check", "--repair"],
                "environment": [],
            }
        ]
    }


def test_options_are_passed_on(tmp_path: Path) -> None:
    options = ["--role", "arn:r", "--task-definition", "arn:t", "--env", "A=b=c", "--env", "D=e"]
    assert run(tmp_path, "loader", *options, "--", "module").returncode == 0
    words = asked(tmp_path)
    assert after(words, "--task-definition") == "arn:t"
    overrides = json.loads(after(words, "--overrides"))
    assert overrides["taskRoleArn"] == "arn:r"
    [container] = overrides["containerOverrides"]
    assert container["environment"] == [
        {"name": "A", "value": "b=c"},
        {"name": "D", "value": "e"},
    ]


def test_status_of_the_task_is_the_commands(tmp_path: Path) -> None:
    assert run(tmp_path, "verifier", "--", "module", status="3").returncode == 3


def test_task_that_does_not_start_fails_with_its_reason(tmp_path: Path) -> None:
    done = run(tmp_path, "loader", "--", "module", status="None")
    assert done.returncode == 1
    assert "the task did not start: the image is missing" in done.stderr


def test_no_task_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, "loader", "--", "module", task="None")
    assert done.returncode == 1
    assert "ECS started no task of headrace-loader in the cluster headrace" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["loader"],
        ["loader", "--"],
        ["loader", "--role", "--"],
        ["loader", "--what", "1", "--", "m"],
    ],
    ids=str,
)
def test_wrong_use_is_explained(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "run-task NAME SUBNET" in done.stderr
    assert not (tmp_path / "calls").exists()


def test_quotation_marks_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "loader", "--", "module", 'a"b')
    assert done.returncode == 2
    assert not (tmp_path / "calls").exists()
