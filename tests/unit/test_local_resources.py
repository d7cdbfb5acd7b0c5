"""The declarative description that the emulator, and later the cloud, is brought to."""

from __future__ import annotations

import dataclasses
import json

import pytest

from headrace_local.provision import queue_policy
from headrace_local.resources import DEFAULT_BUS, describe
from headrace_shared import log_schema

ACCOUNT = "000000000000"


def test_names_are_those_that_users_know() -> None:
    found = describe()
    assert found.bucket.name == "headrace-lake"
    assert found.bus == "headrace"
    assert found.log_table.name == "headrace-log"
    assert found.keys_table.name == "headrace-keys"
    assert [(one.queue.name, one.dead_letters.name) for one in found.inboxes] == [
        ("headrace-router", "headrace-router-dead"),
        ("headrace-loader", "headrace-loader-dead"),
        ("headrace-logger", "headrace-logger-dead"),
    ]
    assert [(rule.bus, rule.name, rule.service) for rule in found.rules] == [
        ("default", "headrace-lake", "router"),
        ("headrace", "headrace-replay", "router"),
        ("headrace", "headrace-loader", "loader"),
        ("headrace", "headrace-logger", "logger"),
    ]


def test_lake_keeps_versions_and_tells_of_what_lands() -> None:
    bucket = describe().bucket
    assert bucket.versioned
    assert bucket.eventbridge_notifications


def test_router_hears_of_replays_and_of_objects_created_in_this_lake_alone() -> None:
    landed, replayed = describe("mine").rules_to("router")
    assert replayed.pattern == {"source": ["headrace"], "detail-type": ["Replay Requested"]}
    assert landed.pattern == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": ["mine-lake"]}},
    }


def test_loader_hears_routed_drops_and_reverts_and_logger_every_fact() -> None:
    found = describe()
    (loader,), (logger,) = found.rules_to("loader"), found.rules_to("logger")
    assert loader.pattern == {
        "source": ["headrace"],
        "detail-type": ["Drop Routed", "Revert Requested"],
    }
    assert logger.pattern == {"source": ["headrace"]}


def test_two_prefixes_share_no_name() -> None:
    one, other = (
        set(json.dumps(dataclasses.asdict(describe(prefix))).split('"')) for prefix in ("a", "b")
    )
    shared = {name for name in one & other if name.startswith(("a-", "b-"))}
    assert not shared
    assert describe("a").bus != describe("b").bus


@pytest.mark.parametrize("service", ["router", "loader", "logger"])
def test_dead_letters_outlive_the_inbox(service: str) -> None:
    inbox = describe().inbox(service)
    assert inbox.dead_letters.retention_seconds == 14 * 86_400
    assert inbox.dead_letters.retention_seconds > inbox.queue.retention_seconds


def test_waiting_drops_may_come_back_more_often_than_others() -> None:
    found = describe()
    assert found.inbox("loader").max_receives > found.inbox("router").max_receives > 1


def test_service_without_inbox_has_none() -> None:
    with pytest.raises(KeyError):
        describe().inbox("api")


def test_rule_on_the_default_bus_is_named_without_it() -> None:
    by_bus = {rule.bus: rule.arn(ACCOUNT) for rule in describe().rules if rule.service != "logger"}
    assert by_bus == {
        DEFAULT_BUS: f"arn:aws:events:us-east-1:{ACCOUNT}:rule/headrace-lake",
        "headrace": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/headrace/headrace-loader",
    }


def test_only_the_rules_of_an_inbox_may_send_to_it() -> None:
    found = describe()
    inbox = found.inbox("loader")
    (statement,) = queue_policy(inbox.queue, found.rules_to("loader"), ACCOUNT)["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == inbox.queue.arn(ACCOUNT)
    assert statement["Condition"] == {
        "ArnEquals": {
            "aws:SourceArn": [f"arn:aws:events:us-east-1:{ACCOUNT}:rule/headrace/headrace-loader"]
        }
    }


def test_log_table_is_the_one_of_the_shared_schema() -> None:
    table = describe().log_table
    assert table.partition_key == log_schema.KEY
    assert table.expiry_attribute == log_schema.EXPIRY
    assert {index.name: index.partition_key for index in table.indexes} == log_schema.INDEX_KEYS
    assert {index.sort_key for index in table.indexes} == {log_schema.KEY}
    assert set(table.key_attributes) == {log_schema.KEY, *log_schema.INDEX_KEYS.values()}
