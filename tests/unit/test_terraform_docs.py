"""What the documents under infra/terraform say is what the files there, and the prices, say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.terraform_blocks import TERRAFORM, blocks, modules, text
from tools.terraform_cost import DOCUMENT, LINES, VOLUMES, endpoints, sizes, with_tables
from tools.terraform_prices import PRICES
from tools.terraform_rights import every_right, rights

POLICY = """\
data "aws_iam_policy_document" "router" {
  statement {
    sid       = "PublishFacts"
    actions   = ["events:PutEvents"]
    resources = [%s]
  }
}
"""


def test_costs_are_those_that_the_script_reckons() -> None:
    assert DOCUMENT.read_text() == with_tables(DOCUMENT.read_text())


def test_costs_follow_the_sizes_and_endpoints_of_the_module() -> None:
    assert sizes().keys() == {"router", "loader", "logger", "api", "verifier"}
    assert sizes()["loader"] == (1, 2, 1)
    assert endpoints() == 7


def test_every_price_is_used_and_every_line_has_one() -> None:
    assert {line.price for line in LINES} == PRICES.keys()


def test_more_drops_never_cost_less() -> None:
    for line in LINES:
        dollars = [line.usd(volume) for volume in VOLUMES]
        assert dollars == sorted(dollars), line.item


def test_rights_name_every_statement() -> None:
    assert len(rights(TERRAFORM).splitlines()) == 2 + len(list(every_right(TERRAFORM)))


def test_right_without_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(POLICY % "aws_sqs_queue.mystery.arn")
    with pytest.raises(ValueError, match=r"no words for aws_sqs_queue\.mystery\.arn"):
        rights(tmp_path)


def test_condition_without_words_is_refused(tmp_path: Path) -> None:
    dynamic = (
        'data "aws_iam_policy_document" "router" {\n  dynamic "statement" {\n'
        "    for_each = var.moon == null ? [] : [1]\n    content {\n"
        '      sid       = "PublishFacts"\n      actions   = ["events:PutEvents"]\n'
        "      resources = [aws_cloudwatch_event_bus.facts.arn]\n    }\n  }\n}\n"
    )
    (tmp_path / "main.tf").write_text(dynamic)
    with pytest.raises(ValueError, match=r"no words for var\.moon"):
        rights(tmp_path)


def test_refusals_are_told_from_rights(tmp_path: Path) -> None:
    policy = POLICY % "aws_cloudwatch_event_bus.facts.arn"
    policy = policy.replace("    actions ", '    effect    = "Deny"\n    actions ')
    (tmp_path / "main.tf").write_text(policy)
    assert "`events:PutEvents` (refused) | the bus | publish facts" in rights(tmp_path)


def test_key_policy_of_the_readme_lets_in_whom_it_names() -> None:
    readme = (TERRAFORM / "README.md").read_text()
    [policy] = re.findall(r"```json\n(.*?)```", readme, re.DOTALL)
    services = {
        statement["Principal"]["Service"]: set(statement["Action"])
        for statement in json.loads(policy)["Statement"]
        if "Service" in statement["Principal"]
    }
    assert services.keys() == {
        "events.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "logs.REGION.amazonaws.com",
    }
    assert services["events.amazonaws.com"] >= {"kms:Decrypt", "kms:GenerateDataKey"}


def test_inputs_that_the_readme_sets_exist() -> None:
    readme = (TERRAFORM / "README.md").read_text()
    [call] = re.findall(r"```hcl\n(module .*?)```", readme, re.DOTALL)
    assert _set(call) - {"source"} >= _needed(TERRAFORM)
    assert _set(call) - {"source"} <= _variables(TERRAFORM)


@pytest.mark.parametrize("example", sorted(TERRAFORM.glob("examples/*/")), ids=lambda one: one.name)
def test_example_has_settings_to_copy(example: Path) -> None:
    settings = (example / "terraform.tfvars.example").read_text()
    assert _needed(example) <= _set(settings) <= _variables(example)


def test_quick_start_has_six_commands() -> None:
    readme = (TERRAFORM / "README.md").read_text()
    [commands] = re.findall(r"## Quick start\n.*?\n\n((?:    [^\n]*\n)+)", readme, re.DOTALL)
    assert len(commands.splitlines()) <= 6


def _set(text_: str) -> set[str]:
    """Names that stand before an equals sign, of the outermost level."""
    return set(re.findall(r"^(?:  )?(\w+) +=", text_, re.MULTILINE))


def _variables(module: Path) -> set[str]:
    return {block.name for block in blocks(module, "variable")}


def _needed(module: Path) -> set[str]:
    return {one.name for one in blocks(module, "variable") if "default" not in one.arguments()}


def test_applier_may_make_every_kind_of_resource() -> None:
    used = {
        block.labels[0]
        for module in modules()
        if module.parent.name != "examples"
        for kind in ("resource", "data")
        for block in blocks(module, kind)
        if block.labels[0].startswith("aws_")
    }
    assert {_service(kind) for kind in used} - {""} == _services_of_the_applier()


def _service(kind: str) -> str:
    """The prefix of the IAM actions that a kind of resource needs; none for what needs none."""
    for beginning, service in _SERVICES.items():
        if kind.startswith(f"aws_{beginning}"):
            return service
    raise AssertionError(f"{kind}: add its service here, and its rights to applier-policy.json")


def _services_of_the_applier() -> set[str]:
    policy = json.loads((TERRAFORM / "applier-policy.json").read_text())
    actions = [action for one in policy["Statement"] for action in one["Action"]]
    return {action.split(":")[0] for action in actions} - {"kms"}


_SERVICES = {
    "iam_policy_document": "",
    "partition": "",
    "region": "",
    "appautoscaling_": "application-autoscaling",
    "availability_zones": "ec2",
    "caller_identity": "sts",
    "cloudwatch_dashboard": "cloudwatch",
    "cloudwatch_event_": "events",
    "cloudwatch_log_": "logs",
    "cloudwatch_metric_": "cloudwatch",
    "db_": "rds",
    "dynamodb_": "dynamodb",
    "ecr_": "ecr",
    "ecs_": "ecs",
    "iam_role": "iam",
    "lb": "elasticloadbalancing",
    "rds_": "rds",
    "route53_": "route53",
    "s3_": "s3",
    "secretsmanager_": "secretsmanager",
    "sns_": "sns",
    "sqs_": "sqs",
    "wafv2_": "wafv2",
    **dict.fromkeys(
        ["default_security", "eip", "flow_log", "internet", "nat_", "route", "security", "subnet"],
        "ec2",
    ),
    "vpc": "ec2",
}


def test_every_module_is_read_whole() -> None:
    for module in modules():
        assert (module / "README.md").is_file()
        for path in module.glob("*.tf"):
            begins = re.findall(r'^(\w+) (?:"[^"]*" )*\{', path.read_text(), re.MULTILINE)
            assert len([one for one in blocks(module) if one.file == path]) == len(begins)


def test_arguments_over_several_lines_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text(
        '# Why it is there.\nvariable "size" {\n  description = <<-TEXT\n    First line,\n'
        "    `x = 1` second.\n  TEXT\n  type = object({\n    a = string\n    b = optional(number)\n"
        '  })\n  default = {\n    a = "}"\n  }\n\n  validation {\n    condition = true\n  }\n}\n'
    )
    [block] = blocks(tmp_path)
    assert block.comment == "Why it is there."
    assert block.arguments().keys() == {"description", "type", "default"}
    assert text(block.arguments()["description"]) == "First line,\n`x = 1` second."
    assert block.arguments()["default"] == '{\n  a = "}"\n}'
    assert [inner.kind for inner in block.inner()] == ["validation"]
