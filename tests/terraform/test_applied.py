"""Terraform applied for real: the images that it names run under the roles that it grants, and
what is dropped comes out at the other end."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import uuid4

import pytest

from headrace_local import emulator
from headrace_local.resources import describe
from tests.containers.engine import SERVICES, built_images, need_engine
from tests.running_platform import eventually
from tests.terraform import alike
from tests.terraform.account import need_agent_address, running_account, subscribed
from tests.terraform.applied import (
    PREFIX,
    Applied,
    applied,
    configure_provider,
    left_over,
    scaled,
)
from tests.terraform.permissions import (
    GOOD,
    NOT_TELLABLE,
    PERMISSIONS,
    Permission,
    now,
    refused,
    statements,
    without,
)
from tests.terraform.terraform import Terraform

pytestmark = [pytest.mark.containers, pytest.mark.e2e, pytest.mark.timeout(1_800)]

FORGOTTEN: Final[Mapping[str, frozenset[str] | None]] = {
    # It answers the provider's way of asking for alarms with names and thresholds alone.
    "aws_cloudwatch_metric_alarm": None,
    "aws_ecs_service": frozenset({"availability_zone_rebalancing"}),
    "aws_flow_log": None,
    "aws_vpc_endpoint": frozenset({"private_dns_enabled", "security_group_ids"}),
}
"""Kind -> attributes (None: any) that the emulator takes and does not give back, so that Terraform
would set them anew; `terraform test` covers them."""


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str]
) -> Iterator[Applied]:
    need_engine()
    need_agent_address()
    folder = tmp_path_factory.mktemp("applied")
    with running_account(folder, PREFIX) as account, account.environment() as environment:
        terraform = Terraform(folder, environment=dict(terraform_environment) | environment)
        configure_provider(terraform)
        terraform.init()
        with applied(account, terraform, built_images()) as made:
            yield made
        # After whatever test came last in today's order.
        assert left_over(account) == []


@pytest.fixture
def table(stack: Applied) -> str:
    """A table of the test's own that sets bad rows aside; its contract is applied."""
    name = f"t{uuid4().hex[:8]}"
    columns = [{"name": "id", "type": "bigint"}, {"name": "name", "type": "text"}]
    contract = {"columns": columns, "on_bad_rows": {"mode": "quarantine", "max_rows": 5}}
    stack.land(f"dev/schema/{name}/contract.json", json.dumps(contract))
    stack.await_state(f"dev/schema/{name}/contract.json", "loaded")
    return name


def test_dropped_files_come_out_at_the_other_end(stack: Applied) -> None:
    stack.contract("people")
    stack.land("dev/append/people/a.csv", "id,name\n1,Ada\n2,Grace\n")
    stack.land("dev/append/people/b.csv.gz", gzip.compress(b"id,name\n3,Edith\n"))
    stack.land("dev/append/people/bad.csv", "id,name\nfour,Mary\n")
    stack.land("elsewhere/append/people/a.csv", GOOD)
    assert stack.await_state("dev/append/people/a.csv", "loaded")["rows_loaded"] == 2
    assert stack.await_state("dev/append/people/b.csv.gz", "loaded")["rows_loaded"] == 1
    rejected = stack.await_state("dev/append/people/bad.csv", "rejected")
    assert rejected["reason"]["bad_rows"][0]["value"] == "four"
    # Of the databases that the variable names, it is none.
    stack.await_state("elsewhere/append/people/a.csv", "rejected")
    assert stack.count("dev.people") == 3


def test_services_write_their_log_with_metrics(stack: Applied, table: str) -> None:
    since = now()
    stack.land(f"dev/append/{table}/a.csv", GOOD)
    stack.await_state(f"dev/append/{table}/a.csv", "loaded")

    def counted() -> bool:
        lines = [json.loads(line) for line in stack.log_lines("logger", since) if line[:1] == "{"]
        ends = [line for line in lines if line.get("drops") == 1 and line["table_name"] == table]
        return bool(ends) and {"stack", "_aws", "rows_loaded"} <= set(ends[-1])

    eventually(counted, "the logger counts the drop")


def test_bad_end_is_told_in_words(stack: Applied, table: str) -> None:
    """To whoever subscribes; here a queue, where a person has a mailbox."""
    with subscribed(stack.account, stack.outputs["alert_topic_arn"]) as heard:
        stack.land(f"dev/append/{table}/good.csv", GOOD)
        stack.land(f"dev/append/{table}/bad.csv", "id,nickname\n1,Ada\n")
        [message] = heard()
    drop = stack.await_state(f"dev/append/{table}/bad.csv", "rejected")
    assert f"Drop Rejected: dev.{table}" in message
    assert f"s3://{stack.outputs['lake_bucket']}/dev/append/{table}/bad.csv" in message
    assert drop["reason"]["message"].replace('"', "")[:20] in message.replace('"', "")
    assert f"{stack.outputs['api_url']}/v1/drops/{drop['drop_id']}" in message


@pytest.mark.parametrize("permission", PERMISSIONS, ids=str)
def test_permission_is_needed(stack: Applied, table: str, permission: Permission) -> None:
    with without(stack, permission):
        since = now()
        permission.act(stack, table)
        eventually(lambda: refused(stack, permission, since), f"AWS refuses {permission}")
    # And with it, everything goes on by itself.
    stack.land(f"dev/append/{table}/after.csv", GOOD)
    stack.await_state(f"dev/append/{table}/after.csv", "loaded")


@pytest.mark.parametrize("service", SERVICES)
def test_every_statement_of_a_role_is_taken_away_in_turn(stack: Applied, service: str) -> None:
    granted = {one["Sid"] for one in statements(stack, service)}
    tried = {one.sid for one in PERMISSIONS if one.service == service}
    assert granted - set(NOT_TELLABLE) == tried


def test_roles_name_what_they_reach(stack: Applied) -> None:
    for service in SERVICES:
        for statement in statements(stack, service):
            named = statement["Resource"]
            for resource in [named] if isinstance(named, str) else named:
                assert resource.startswith("arn:aws:"), (service, statement)
                assert not resource.endswith((":*", ":::*")), (service, statement)


def test_every_target_has_its_policy_and_its_dead_letters(stack: Applied) -> None:
    made = list(alike.resources(stack.terraform.show_json()))

    def of(kind: str) -> list[dict[str, Any]]:
        return [one["values"] for one in made if one["type"] == kind]

    rules = {one["name"]: one["arn"] for one in of("aws_cloudwatch_event_rule")}
    policies = [json.loads(one["policy"]) for one in of("aws_sqs_queue_policy")]
    policies += [json.loads(one["policy"]) for one in of("aws_sns_topic_policy")]
    granted = {
        (source, statement["Resource"])
        for policy in policies
        for statement in policy["Statement"]
        for source in _sources(statement, list(rules.values()))
    }
    assert len(of("aws_cloudwatch_event_target")) == len(rules) == 6
    for target in of("aws_cloudwatch_event_target"):
        [dead] = target["dead_letter_config"]
        source = rules[target["rule"]]
        assert (source, target["arn"]) in granted
        assert (source, dead["arn"]) in granted


def _sources(statement: Mapping[str, Any], rules: list[str]) -> list[str]:
    """ARNs of the rules that it lets in: a statement for EventBridge without a condition, as the
    topic has it, lets in all."""
    if "Condition" not in statement:
        return rules if statement["Principal"] == {"Service": "events.amazonaws.com"} else []
    named = statement["Condition"].get("ArnEquals", {}).get("aws:SourceArn", [])
    return [named] if isinstance(named, str) else list(named)


def test_local_platform_has_the_same_resources(stack: Applied) -> None:
    of_terraform = alike.applied(stack.terraform.show_json())
    assert of_terraform == alike.described(describe(PREFIX), emulator.ACCOUNT)


def test_second_apply_changes_nothing(stack: Applied) -> None:
    assert _changed(stack) == []


def _changed(stack: Applied) -> list[str]:
    """What an apply would change: addresses, actions and attributes."""
    changes = [
        change
        for change in stack.terraform.plan()["resource_changes"]
        if change["change"]["actions"] not in (["no-op"], ["read"])
    ]
    return [
        f"{one['address']}: {one['change']['actions']} {sorted(_differing(one) | _unknown(one))}"
        for one in changes
        if not _forgotten(one)
    ]


def _differing(changed: Mapping[str, Any]) -> set[str]:
    """Names of the attributes that are not the same before and after."""
    before, after = changed["change"]["before"] or {}, changed["change"]["after"] or {}
    return {name for name, value in after.items() if value != before.get(name)}


def _unknown(changed: Mapping[str, Any]) -> set[str]:
    """Names of the attributes that are known only after an apply."""
    return {name for name, is_one in changed["change"]["after_unknown"].items() if is_one}


def _forgotten(changed: Mapping[str, Any]) -> bool:
    if changed["type"] not in FORGOTTEN or None in (
        changed["change"]["before"],
        changed["change"]["after"],
    ):
        return False
    forgotten = FORGOTTEN[changed["type"]]
    return forgotten is None or _differing(changed) <= forgotten


def test_apply_leaves_the_number_of_tasks_alone(stack: Applied) -> None:
    with scaled(stack, "loader", 2):
        # Another test may have given rights back, which the plan would write anew.
        assert [one for one in _changed(stack) if "aws_ecs_service" in one] == []


def test_three_loaders_share_the_inbox(stack: Applied, table: str) -> None:
    with scaled(stack, "loader", 3):
        eventually(lambda: len(stack.containers("loader")) == 3, "three loaders run")
        for number in range(30):
            stack.land(f"dev/append/{table}/{number}.csv", GOOD)
        eventually(lambda: stack.count(f"dev.{table}") == 30, "30 rows are there")
    eventually(lambda: len(stack.containers("loader")) == 1, "one loader is left")
