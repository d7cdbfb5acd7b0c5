"""Provisioning on the emulator: brought to the description, and then left alone."""

from __future__ import annotations

import json

import pytest

from headrace_local.emulator import ACCOUNT
from headrace_local.errors import PlatformError
from headrace_local.provision import provision, queue_policy
from headrace_local.resources import describe
from tests.real_parts import AwsStack

pytestmark = pytest.mark.integration


def again(aws: AwsStack) -> tuple[str, ...]:
    """What provisioning once more had to change."""
    return provision(aws.resources, aws.clients, ACCOUNT).changes


def attributes(aws: AwsStack, url: str) -> dict[str, str]:
    answer = aws.clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(name): value for name, value in answer["Attributes"].items()}


def test_first_provisioning_makes_everything_and_the_second_nothing(aws_stack: AwsStack) -> None:
    assert len(aws_stack.provisioned.changes) > 10
    assert again(aws_stack) == ()


def test_lake_has_versions_and_tells_eventbridge(aws_stack: AwsStack) -> None:
    s3, bucket = aws_stack.clients.s3, aws_stack.resources.bucket.name
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert "EventBridgeConfiguration" in found


@pytest.mark.parametrize("service", ["router", "loader", "logger"])
def test_inbox_has_its_times_its_policy_and_its_dead_letters(
    aws_stack: AwsStack, service: str
) -> None:
    described = aws_stack.resources.inbox(service)
    found = attributes(aws_stack, aws_stack.queue_url(service))
    assert found["VisibilityTimeout"] == "30"
    assert found["MessageRetentionPeriod"] == str(4 * 86_400)
    assert json.loads(found["RedrivePolicy"]) == {
        "deadLetterTargetArn": described.dead_letters.arn(ACCOUNT),
        "maxReceiveCount": described.max_receives,
    }
    policy = queue_policy(described.queue, aws_stack.resources.rules_to(service), ACCOUNT)
    assert json.loads(found["Policy"]) == policy
    dead = attributes(aws_stack, aws_stack.provisioned.dead_letter_queues[service])
    assert dead["MessageRetentionPeriod"] == str(14 * 86_400)
    assert json.loads(dead["RedriveAllowPolicy"])["sourceQueueArns"] == [
        described.queue.arn(ACCOUNT)
    ]


def test_log_table_has_its_indexes_and_lets_items_expire(aws_stack: AwsStack) -> None:
    dynamodb, table = aws_stack.clients.dynamodb, aws_stack.resources.log_table
    found = dynamodb.describe_table(TableName=table.name)["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    indexes = {
        index["IndexName"]: [part["AttributeName"] for part in index["KeySchema"]]
        for index in found["GlobalSecondaryIndexes"]
    }
    assert indexes == {
        "by_table": ["table_pk", "drop_id"],
        "recent": ["recent_pk", "drop_id"],
        "attention": ["attention_pk", "drop_id"],
    }
    assert {index["Projection"]["ProjectionType"] for index in found["GlobalSecondaryIndexes"]} == {
        "ALL"
    }
    expiry = dynamodb.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    assert expiry["AttributeName"] == "expires_at"


def test_what_was_changed_by_hand_is_brought_back(aws_stack: AwsStack) -> None:
    clients, resources = aws_stack.clients, aws_stack.resources
    clients.sqs.set_queue_attributes(
        QueueUrl=aws_stack.queue_url("loader"), Attributes={"VisibilityTimeout": "1"}
    )
    clients.s3.put_bucket_versioning(
        Bucket=resources.bucket.name, VersioningConfiguration={"Status": "Suspended"}
    )
    (rule,) = resources.rules_to("logger")
    clients.events.put_rule(
        Name=rule.name, EventBusName=rule.bus, EventPattern=json.dumps({"source": ["other"]})
    )
    clients.events.remove_targets(Rule=rule.name, EventBusName=rule.bus, Ids=[rule.service])
    assert len(again(aws_stack)) == 4
    assert attributes(aws_stack, aws_stack.queue_url("loader"))["VisibilityTimeout"] == "30"
    assert again(aws_stack) == ()


def test_missing_queue_is_made_again(aws_stack: AwsStack) -> None:
    aws_stack.clients.sqs.delete_queue(QueueUrl=aws_stack.queue_url("router"))
    name = aws_stack.resources.inbox("router").queue.name
    assert f"queue {name} created" in again(aws_stack)
    assert again(aws_stack) == ()


def test_missing_index_is_made_again(aws_stack: AwsStack) -> None:
    table = aws_stack.resources.log_table.name
    aws_stack.clients.dynamodb.update_table(
        TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "attention"}}]
    )
    assert again(aws_stack) == (f"table {table}: index attention created",)
    assert again(aws_stack) == ()


def test_table_with_another_key_is_refused(aws_stack: AwsStack) -> None:
    other = describe(f"{aws_stack.resources.bus}-other")
    aws_stack.clients.dynamodb.create_table(
        TableName=other.log_table.name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    with pytest.raises(PlatformError, match="another key"):
        provision(other, aws_stack.clients, ACCOUNT)


def test_object_that_lands_reaches_the_router_alone(aws_stack: AwsStack) -> None:
    clients, bucket = aws_stack.clients, aws_stack.resources.bucket.name
    clients.s3.put_object(Bucket=bucket, Key="dev/append/t/a b+%.csv", Body=b"id\n1\n")
    answer = clients.sqs.receive_message(
        QueueUrl=aws_stack.queue_url("router"), WaitTimeSeconds=5, MaxNumberOfMessages=10
    )
    (message,) = answer["Messages"]
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "dev/append/t/a b+%.csv"
    for service in ("loader", "logger"):
        assert "Messages" not in clients.sqs.receive_message(QueueUrl=aws_stack.queue_url(service))
