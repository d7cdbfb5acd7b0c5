"""Hears of everything that lands, on an SQS queue of its own beside the router's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_QUEUE: Final = "chaos-witness"


@dataclass(frozen=True)
class Landed:
    """An S3 event, as far as the order of drops hangs on it."""

    bucket: str
    key: str
    etag: str
    version: str | None
    sequencer: str
    time: str


class Witness:
    """The queue and the rule that feeds it; `hear` collects what has come."""

    def __init__(self, sqs: Any, events: Any, bucket: str) -> None:
        self._sqs = sqs
        self._url = sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [bucket]}},
        }
        events.put_rule(Name=_QUEUE, EventPattern=json.dumps(pattern))
        target = {"Id": "witness", "Arn": attributes["Attributes"]["QueueArn"]}
        events.put_targets(Rule=_QUEUE, Targets=[target])
        self.landed: dict[tuple[str, str], Landed] = {}

    def hear(self) -> int:
        """Collects what is there; answers with how many drops have landed so far."""
        while messages := self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages", []):
            for message in messages:
                landed = _landed(json.loads(message["Body"]))
                self.landed[landed.key, landed.sequencer] = landed
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return len(self.landed)


def _landed(event: Mapping[str, Any]) -> Landed:
    what = event["detail"]["object"]
    return Landed(
        bucket=event["detail"]["bucket"]["name"],
        key=what["key"],
        etag=what["etag"],
        version=what.get("version-id"),
        sequencer=what["sequencer"],
        time=event["time"],
    )
