"""Makes what `resources.py` describes, or brings what exists to the description."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace_local.errors import PlatformError
from headrace_local.resources import Bucket, Inbox, Queue, Resources, Rule, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

# How many seconds an index may take to become active: at once on the emulator, minutes on AWS.
_INDEX_POLLS = 60


@dataclass(frozen=True)
class Provisioned:
    """The addresses of what exists now, and what had to be done: nothing, the second time."""

    inboxes: Mapping[str, str]
    dead_letter_queues: Mapping[str, str]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class Clients:
    """The four clients; they take their endpoint and credentials from who made them."""

    s3: S3Client
    sqs: SQSClient
    events: EventBridgeClient
    dynamodb: DynamoDBClient


def provision(resources: Resources, clients: Clients, account: str) -> Provisioned:
    """Brings everything to the description; safe to repeat, and to run after half a failure.

    Raises:
        PlatformError: something of that name exists that cannot be brought to the description.
    """
    changes = provision_buckets(resources, clients.s3)
    _bus(clients.events, resources.bus, changes)
    inboxes, dead = {}, {}
    for inbox in resources.inboxes:
        # Dead letters first: the inbox's redrive policy names their queue.
        dead[inbox.service] = _queue(
            clients.sqs, inbox.dead_letters, _dead_letter_attributes(inbox, account), changes
        )
        rules = resources.rules_to(inbox.service)
        inboxes[inbox.service] = _queue(
            clients.sqs, inbox.queue, _inbox_attributes(inbox, rules, account), changes
        )
    for rule in resources.rules:
        # The queue and its policy stand already: an event that matches at once is not refused.
        _rule(clients.events, rule, resources.inbox(rule.service).queue.arn(account), changes)
    for table in (resources.log_table, resources.keys_table):
        _table(clients.dynamodb, table, changes)
    return Provisioned(inboxes, dead, tuple(changes))


def provision_buckets(resources: Resources, s3: S3Client) -> list[str]:
    """The buckets alone; what had to be done."""
    changes: list[str] = []
    for bucket in (resources.bucket, resources.quarantine):
        _bucket(s3, bucket, changes)
    return changes


def _bucket(s3: S3Client, bucket: Bucket, changes: list[str]) -> None:
    if bucket.name not in {found.get("Name") for found in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket.name)
        changes.append(f"bucket {bucket.name} created")
    if bucket.versioned and s3.get_bucket_versioning(Bucket=bucket.name).get("Status") != "Enabled":
        s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        changes.append(f"bucket {bucket.name}: versioning on")
    notifications = dict(s3.get_bucket_notification_configuration(Bucket=bucket.name))
    if bucket.eventbridge_notifications and "EventBridgeConfiguration" not in notifications:
        s3.put_bucket_notification_configuration(
            Bucket=bucket.name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        changes.append(f"bucket {bucket.name}: EventBridge notifications on")


def _bus(events: EventBridgeClient, name: str, changes: list[str]) -> None:
    buses = events.list_event_buses(NamePrefix=name)["EventBuses"]
    if name not in {bus.get("Name") for bus in buses}:
        events.create_event_bus(Name=name)
        changes.append(f"bus {name} created")


def _dead_letter_attributes(inbox: Inbox, account: str) -> dict[str, str]:
    return {
        **_times(inbox.dead_letters),
        "RedriveAllowPolicy": _json(
            {"redrivePermission": "byQueue", "sourceQueueArns": [inbox.queue.arn(account)]}
        ),
    }


def _inbox_attributes(inbox: Inbox, rules: tuple[Rule, ...], account: str) -> dict[str, str]:
    redrive = {
        "deadLetterTargetArn": inbox.dead_letters.arn(account),
        "maxReceiveCount": inbox.max_receives,
    }
    policy = queue_policy(inbox.queue, rules, account)
    return {**_times(inbox.queue), "RedrivePolicy": _json(redrive), "Policy": _json(policy)}


def queue_policy(queue: Queue, rules: tuple[Rule, ...], account: str) -> dict[str, Any]:
    """Lets EventBridge send to the queue on behalf of exactly these rules, and nobody else."""
    sources = [rule.arn(account) for rule in rules]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "EventBridgeRulesMaySend",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue.arn(account),
                "Condition": {"ArnEquals": {"aws:SourceArn": sources}},
            }
        ],
    }


def _times(queue: Queue) -> dict[str, str]:
    return {
        "VisibilityTimeout": str(queue.visibility_seconds),
        "MessageRetentionPeriod": str(queue.retention_seconds),
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)


def _queue(sqs: SQSClient, queue: Queue, wanted: Mapping[str, str], changes: list[str]) -> str:
    url = _existing_queue(sqs, queue.name)
    if url is None:
        url = sqs.create_queue(QueueName=queue.name)["QueueUrl"]
        changes.append(f"queue {queue.name} created")
    present = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
    differing: dict[QueueAttributeNameType, str] = {
        name: value  # type: ignore[misc]  # our names are a subset of SQS's
        for name, value in wanted.items()
        if not _same(present.get(name), value)  # type: ignore[call-overload]
    }
    if differing:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=differing)
        changes.append(f"queue {queue.name}: {', '.join(sorted(differing))} set")
    return url


def _existing_queue(sqs: SQSClient, name: str) -> str | None:
    # CreateQueue with other attributes than the present ones is an error, so look first.
    try:
        return sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist:
        return None


def _same(present: str | None, wanted: str) -> bool:
    """Whether two attributes mean the same: policies are JSON, and SQS may write them anew."""
    if present is None or not wanted.startswith("{"):
        return present == wanted
    try:
        return bool(json.loads(present) == json.loads(wanted))
    except ValueError:
        return False


def _rule(events: EventBridgeClient, rule: Rule, target: str, changes: list[str]) -> None:
    found = events.list_rules(NamePrefix=rule.name, EventBusName=rule.bus)["Rules"]
    present = {entry.get("Name"): entry for entry in found}.get(rule.name)
    if present is None or not _same(present.get("EventPattern"), rule.pattern_json):
        events.put_rule(
            Name=rule.name, EventBusName=rule.bus, EventPattern=rule.pattern_json, State="ENABLED"
        )
        changes.append(f"rule {rule.name} put")
    targets = events.list_targets_by_rule(Rule=rule.name, EventBusName=rule.bus)["Targets"]
    if [(entry["Id"], entry["Arn"]) for entry in targets] != [(rule.service, target)]:
        events.put_targets(
            Rule=rule.name, EventBusName=rule.bus, Targets=[{"Id": rule.service, "Arn": target}]
        )
        changes.append(f"rule {rule.name}: target set")


def _table(dynamodb: DynamoDBClient, table: Table, changes: list[str]) -> None:
    try:
        present = dynamodb.describe_table(TableName=table.name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        _create_table(dynamodb, table)
        changes.append(f"table {table.name} created")
    else:
        if present.get("KeySchema") != [_key(table.partition_key, "HASH")]:
            raise PlatformError(
                f"The table {table.name} exists with another key.",
                f"DynamoDB table {table.name}: key {present.get('KeySchema')}",
                "Use another data folder (headrace up --data DIR), or delete the table.",
            )
        _add_indexes(
            dynamodb,
            table,
            {index.get("IndexName", "") for index in present.get("GlobalSecondaryIndexes", [])},
            changes,
        )
    _expiry(dynamodb, table, changes)


def _create_table(dynamodb: DynamoDBClient, table: Table) -> None:
    indexes = [_index(table, index.name) for index in table.indexes]
    # An empty list of indexes is an error.
    with_indexes: Any = {"GlobalSecondaryIndexes": indexes} if indexes else {}
    dynamodb.create_table(
        TableName=table.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=_definitions(table),
        KeySchema=[_key(table.partition_key, "HASH")],
        **with_indexes,
    )
    dynamodb.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1})


def _add_indexes(
    dynamodb: DynamoDBClient, table: Table, present: set[str], changes: list[str]
) -> None:
    # DynamoDB makes one index at a time.
    for index in table.indexes:
        if index.name in present:
            continue
        dynamodb.update_table(
            TableName=table.name,
            AttributeDefinitions=_definitions(table),
            GlobalSecondaryIndexUpdates=[{"Create": _index(table, index.name)}],
        )
        changes.append(f"table {table.name}: index {index.name} created")
        dynamodb.get_waiter("table_exists").wait(
            TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": _INDEX_POLLS}
        )


def _definitions(table: Table) -> Any:
    return [{"AttributeName": name, "AttributeType": "S"} for name in table.key_attributes]


def _index(table: Table, name: str) -> Any:
    index = next(index for index in table.indexes if index.name == name)
    return {
        "IndexName": index.name,
        "KeySchema": [_key(index.partition_key, "HASH"), _key(index.sort_key, "RANGE")],
        "Projection": {"ProjectionType": "ALL"},
    }


def _key(attribute: str, kind: str) -> Any:
    return {"AttributeName": attribute, "KeyType": kind}


def _expiry(dynamodb: DynamoDBClient, table: Table, changes: list[str]) -> None:
    present = dynamodb.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    if present.get("AttributeName") == table.expiry_attribute:
        return
    dynamodb.update_time_to_live(
        TableName=table.name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": table.expiry_attribute},
    )
    changes.append(f"table {table.name}: items expire by {table.expiry_attribute}")
