"""infra/terraform without an account: form, validity, its own tests, policies, and what it says of
itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_parts import give_up
from tests.terraform import providers, rules, states
from tests.terraform.terraform import Terraform, TerraformError
from tools.terraform_blocks import TERRAFORM

ROOT = TERRAFORM.parents[1]

ROOTS = ["registry", *(f"examples/{one.name}" for one in sorted(TERRAFORM.glob("examples/*/")))]

# Downloads checkov the first time, and starts it; then a scan takes six seconds.
SCAN_SECONDS = 300


def test_is_formatted(initialised: Terraform) -> None:
    initialised.run("fmt", "-check", "-diff", "-recursive", seconds=60)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("root", [".", *ROOTS])
def test_is_valid(root: str, root_module: Callable[[str], Terraform]) -> None:
    root_module(root).validate()


@pytest.mark.timeout(960)
@pytest.mark.parametrize("root", states.roots())
def test_its_own_tests_pass(root: str, tested: Callable[[str], states.Tested]) -> None:
    assert tested(root).passed > 0


def test_command_that_takes_too_long_is_ended(initialised: Terraform) -> None:
    with pytest.raises(TerraformError, match="not within 0 s"):
        initialised.run("validate", seconds=0.01)


def test_failure_says_what_terraform_said(initialised: Terraform) -> None:
    with pytest.raises(TerraformError, match="has no command"):
        initialised.run("levitate", seconds=60)


@pytest.mark.timeout(SCAN_SECONDS + 20)
def test_scanner_has_no_finding_that_is_not_argued_for() -> None:
    scanned = _scan(TERRAFORM)
    assert scanned.returncode == 0, scanned.stdout


@pytest.mark.timeout(SCAN_SECONDS + 20)
def test_scanner_knows_our_policies(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(BAD)
    said = _scan(tmp_path).stdout
    assert "FAILED for resource: aws_cloudwatch_event_target.lost" in said
    assert "FAILED for resource: aws_ecs_task_definition.told" in said
    assert "FAILED for resource: aws_ecs_task_definition.shown" in said
    for finding in said.split("Check: ")[1:]:
        assert "HEADRACE" not in finding or ".kept" not in finding


def test_every_skipped_check_says_why() -> None:
    skips = [
        line.split("checkov:skip=")[1]
        for path in TERRAFORM.rglob("*.tf")
        for line in path.read_text().splitlines()
        if "checkov:skip=" in line
    ]
    assert skips
    for skip in skips:
        _, _, reason = skip.partition(":")
        assert len(reason) > 40, skip


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_rule_finds_nothing(rule: rules.Rule) -> None:
    assert rule(TERRAFORM) == []


@pytest.mark.parametrize(
    ("rule", "planted"),
    [
        (rules.undescribed, 'variable "size" {\n  type = number\n}\n'),
        (rules.undescribed, 'variable "size" {\n  description = "Size."\n}\n'),
        (rules.undescribed, 'output "size" {\n  value = 1\n}\n'),
        (rules.misnamed, 'resource "aws_sqs_queue" "My-Queue" {\n}\n'),
        (rules.misnamed, "locals {\n  theSize = 1\n}\n"),
        (
            rules.untaggable,
            'provider "aws" {\n  default_tags {\n    tags = { Owner = "a (b)" }\n  }\n}\n',
        ),
        (rules.unused, 'variable "size" {\n  type = number\n}\n'),
        (rules.unused, "locals {\n  size = 1\n}\n"),
        (rules.unused, 'data "aws_region" "current" {}\n'),
        (rules.unpinned, 'provider "aws" {\n  region = "us-east-1"\n}\n'),
        (rules.plaintext_credentials, 'locals {\n  dsn = "host=db password=hunter2"\n}\n'),
        (rules.plaintext_credentials, 'locals {\n  dsn = "postgresql://me:hunter2@db/x"\n}\n'),
        (rules.plaintext_credentials, "locals {\n  e = { PGPASSWORD = var.password }\n}\n"),
        (rules.plaintext_credentials, 'locals {\n  e = { CURSOR_SECRET = "abc" }\n}\n'),
        (
            rules.targets_without_dead_letters,
            'resource "aws_cloudwatch_event_target" "lost" {\n  arn = "x"\n}\n',
        ),
    ],
)
def test_rule_finds_what_is_planted(rule: rules.Rule, planted: str, tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(planted)
    assert len(rule(tmp_path)) >= 1


@pytest.mark.parametrize("old", ["", "local.rules.lake, ", "local.rules.replay"])
def test_rule_that_its_target_does_not_let_in_is_found(old: str, tmp_path: Path) -> None:
    for path in TERRAFORM.glob("*.tf"):
        (tmp_path / path.name).write_text(path.read_text())
    router = (tmp_path / "router.tf").read_text()
    (tmp_path / "router.tf").write_text(router.replace(old, "", 1))
    found = rules.shut_out(tmp_path)
    assert len(found) == (1 if old else 0)


def test_rule_that_is_let_in_where_it_sends_nothing_is_found(tmp_path: Path) -> None:
    for path in TERRAFORM.glob("*.tf"):
        (tmp_path / path.name).write_text(path.read_text())
    logger = (tmp_path / "logger.tf").read_text()
    (tmp_path / "logger.tf").write_text(
        logger.replace("[local.rules.logger]", "[local.rules.logger, local.rules.lake]")
    )
    [found] = rules.shut_out(tmp_path)
    assert found == "logger lets in lake, logger, and logger send to it"


def test_output_that_no_caller_reads_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "modules" / "queue"
    inner.mkdir(parents=True)
    (inner / "outputs.tf").write_text('output "arn" {\n  value = 1\n}\n')
    (tmp_path / "main.tf").write_text('module "queue" {\n  source = "./modules/queue"\n}\n')
    assert rules.unused(tmp_path) == ["queue/outputs.tf:1: output.arn: no caller reads it"]


def test_mirror_is_found_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(providers.CONFIGURATION, raising=False)
    mirror = tmp_path / "opt" / "mirror"
    lies = mirror / "registry.example" / "hashicorp" / "aws" / "5.100.0" / "linux_arm64"
    lies.mkdir(parents=True)
    (lies / "terraform-provider-aws_v5.100.0_x5").write_bytes(b"")
    told = providers.environment(tmp_path, [tmp_path / "opt"])
    written = Path(told[providers.CONFIGURATION]).read_text()
    assert f'filesystem_mirror {{ path = "{mirror}" }}' in written


def test_configuration_that_is_given_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("")
    monkeypatch.setenv(providers.CONFIGURATION, str(tmp_path / "mine"))
    assert providers.environment(tmp_path, providers.usual_places()) == {}


def test_without_a_provider_on_the_machine_the_registry_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(providers.CONFIGURATION, raising=False)
    assert providers.environment(tmp_path, [tmp_path]) == {}


def _scan(folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [ROOT / "tools" / "policy", folder],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=SCAN_SECONDS,
        check=False,
    )
    if not (ROOT / ".policy-venv" / "bin" / "checkov").exists():
        shutil.rmtree(ROOT / ".policy-venv", ignore_errors=True)
        give_up(f"checkov could not be installed (tools/policy):\n{done.stderr[-2000:]}")
    return done


BAD = """\
resource "aws_cloudwatch_event_target" "lost" {
  rule = "rule"
  arn  = "arn:aws:sqs:us-east-1:111122223333:queue"
}

resource "aws_cloudwatch_event_target" "kept" {
  rule = "rule"
  arn  = "arn:aws:sqs:us-east-1:111122223333:queue"

  dead_letter_config {
    arn = "arn:aws:sqs:us-east-1:111122223333:dead"
  }
}

resource "aws_ecs_task_definition" "told" {
  family                = "told"
  container_definitions = jsonencode([{ environment = [{ name = "DSN", value = "host=db password=hunter2" }] }])
}

resource "aws_ecs_task_definition" "shown" {
  family                = "shown"
  container_definitions = jsonencode([{ environment = [{ name = "DSN", value = "postgresql://me:hunter2@db/x" }] }])
}

resource "aws_ecs_task_definition" "kept" {
  family                = "kept"
  container_definitions = jsonencode([{ environment = [{ name = "DSN", value = "host=db dbname=x" }] }])
}
"""  # noqa: E501 - Terraform's lines
