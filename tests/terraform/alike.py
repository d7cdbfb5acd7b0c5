"""The resources of a state of Terraform, in the terms of the local platform's description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from headrace_local.emulator import ACCOUNT
from headrace_local.provision import queue_policy
from headrace_local.resources import Bucket, Inbox, Resources, Rule, Table

Found = dict[str, Any]

ON_AWS_ONLY: Final = ("-undelivered", "-ended-badly", "-deployment-failed")
"""Ends of names of what the local platform has no use for: undelivered events, and alerts."""


def described(resources: Resources, account: str) -> Found:
    """What the local platform makes, by kind and name."""
    buckets = (resources.bucket, resources.quarantine)
    found = {f"bucket {bucket.name}": _bucket(bucket) for bucket in buckets}
    found[f"bus {resources.bus}"] = {}
    for inbox in resources.inboxes:
        rules = resources.rules_to(inbox.service)
        found |= _queues(inbox, rules, account)
    for rule in resources.rules:
        target = resources.inbox(rule.service).queue.arn(account)
        found[f"rule {rule.bus}/{rule.name}"] = _rule(rule, target)
    for table in (resources.log_table, resources.keys_table):
        found[f"table {table.name}"] = _table(table)
    return found


def _bucket(bucket: Bucket) -> Found:
    return {"versioned": bucket.versioned, "notifications": bucket.eventbridge_notifications}


def _queues(inbox: Inbox, rules: tuple[Rule, ...], account: str) -> Found:
    return {
        f"queue {inbox.queue.name}": {
            "visibility": inbox.queue.visibility_seconds,
            "retention": inbox.queue.retention_seconds,
            "redrive": {
                "deadLetterTargetArn": inbox.dead_letters.arn(account),
                "maxReceiveCount": inbox.max_receives,
            },
            "policy": _plain(queue_policy(inbox.queue, rules, account)),
        },
        f"queue {inbox.dead_letters.name}": {
            "visibility": inbox.dead_letters.visibility_seconds,
            "retention": inbox.dead_letters.retention_seconds,
            "redrive_allow": {
                "redrivePermission": "byQueue",
                "sourceQueueArns": inbox.queue.arn(account),
            },
        },
    }


def _rule(rule: Rule, target: str) -> Found:
    return {"pattern": _plain(rule.pattern), "target": target, "target_id": rule.service}


def _table(table: Table) -> Found:
    return {
        "key": table.partition_key,
        "attributes": sorted(table.key_attributes),
        "indexes": {one.name: [one.partition_key, one.sort_key, "ALL"] for one in table.indexes},
        "expiry": table.expiry_attribute,
        "billing": "PAY_PER_REQUEST",
    }


def applied(state: Mapping[str, Any]) -> Found:
    """The same of what `terraform show -json` shows; what is on AWS only is left out."""
    of: dict[str, list[dict[str, Any]]] = {}
    for resource in resources(state):
        of.setdefault(resource["type"], []).append(resource["values"])
    found = _applied_buckets(of) | _applied_queues(of) | _applied_rules(of)
    found |= {f"bus {bus['name']}": {} for bus in of["aws_cloudwatch_event_bus"]}
    found |= {f"table {table['name']}": _applied_table(table) for table in of["aws_dynamodb_table"]}
    return {name: one for name, one in found.items() if not name.endswith(ON_AWS_ONLY)}


def resources(state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything that is managed, of the root and of its modules."""
    return _of(state["values"]["root_module"])


def _of(module: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (one for one in module.get("resources", ()) if one["mode"] == "managed")
    for child in module.get("child_modules", ()):
        yield from _of(child)


def _applied_buckets(of: Mapping[str, list[dict[str, Any]]]) -> Found:
    versioned = {
        one["bucket"]
        for one in of["aws_s3_bucket_versioning"]
        if one["versioning_configuration"][0]["status"] == "Enabled"
    }
    telling = {one["bucket"] for one in of["aws_s3_bucket_notification"] if one["eventbridge"]}
    return {
        f"bucket {_without_account(one['bucket'])}": {
            "versioned": one["bucket"] in versioned,
            "notifications": one["bucket"] in telling,
        }
        for one in of["aws_s3_bucket"]
    }


def _without_account(text: str) -> str:
    """The text with the names of buckets as they are on this machine: on AWS they end in the
    account, for no two accounts can have a bucket of one name."""
    return text.replace(f"-{ACCOUNT}", "")


def _applied_queues(of: Mapping[str, list[dict[str, Any]]]) -> Found:
    policies = {one["queue_url"]: one["policy"] for one in of["aws_sqs_queue_policy"]}
    allowed = {
        one["queue_url"]: one["redrive_allow_policy"]
        for one in of["aws_sqs_queue_redrive_allow_policy"]
    }
    found = {}
    for queue in of["aws_sqs_queue"]:
        told = {
            "redrive": queue["redrive_policy"],
            "redrive_allow": allowed.get(queue["url"]),
            "policy": policies.get(queue["url"]),
        }
        found[f"queue {queue['name']}"] = {
            "visibility": queue["visibility_timeout_seconds"],
            "retention": queue["message_retention_seconds"],
            **{name: _plain(json.loads(text)) for name, text in told.items() if text},
        }
    return found


def _applied_rules(of: Mapping[str, list[dict[str, Any]]]) -> Found:
    targets = {one["rule"]: one for one in of["aws_cloudwatch_event_target"]}
    return {
        f"rule {rule['event_bus_name']}/{rule['name']}": {
            "pattern": _plain(json.loads(_without_account(rule["event_pattern"]))),
            "target": targets[rule["name"]]["arn"],
            "target_id": targets[rule["name"]]["target_id"],
        }
        for rule in of["aws_cloudwatch_event_rule"]
    }


def _applied_table(table: Mapping[str, Any]) -> Found:
    return {
        "key": table["hash_key"],
        "attributes": sorted(one["name"] for one in table["attribute"]),
        "indexes": {
            one["name"]: [one["hash_key"], one["range_key"], one["projection_type"]]
            for one in table["global_secondary_index"]
        },
        "expiry": table["ttl"][0]["attribute_name"],
        "billing": table["billing_mode"],
    }


def _plain(value: Any) -> Any:
    """Lists in order, and a list of one as its member: policies mean the same either way."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        plain = sorted((_plain(inner) for inner in value), key=str)
        return plain[0] if len(plain) == 1 else plain
    return value
