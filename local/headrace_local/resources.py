"""What Headrace needs from AWS, as one declarative description: names and attributes, no calls.

`provision.py` makes it on the emulator; the Terraform of the cloud is compared against it.
Everything is a function of a prefix, so several stacks can share one emulator (or one account).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace_shared import api_keys, log_schema
from headrace_shared.facts import SOURCE, DropRouted, ReplayRequested, RevertRequested

REGION: Final = "us-east-1"
DEFAULT_PREFIX: Final = "headrace"
DEFAULT_BUS: Final = "default"

_DAY_SECONDS: Final = 86_400
VISIBILITY_SECONDS: Final = 30
INBOX_RETENTION_SECONDS: Final = 4 * _DAY_SECONDS
DEAD_LETTER_RETENTION_SECONDS: Final = 14 * _DAY_SECONDS
"""The longest that SQS keeps a message
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html)."""

MAX_RECEIVES: Final = {"router": 10, "loader": 20, "logger": 10}
"""Service with an inbox -> deliveries of one message before it goes to the dead-letter queue.
The loader's is larger: data that waits for its contract comes back many times."""


@dataclass(frozen=True)
class Bucket:
    """The lake, or the quarantine beside it."""

    name: str
    versioned: bool = True
    eventbridge_notifications: bool = True

    @property
    def arn(self) -> str:
        """As policies name it."""
        return f"arn:aws:s3:::{self.name}"


@dataclass(frozen=True)
class Queue:
    """One SQS queue; a dead-letter queue is one too."""

    name: str
    retention_seconds: int
    visibility_seconds: int = VISIBILITY_SECONDS

    def arn(self, account: str) -> str:
        """As policies and targets name it."""
        return f"arn:aws:sqs:{REGION}:{account}:{self.name}"


@dataclass(frozen=True)
class Inbox:
    """The one queue that a service reads, and where its messages go that cannot be handled."""

    service: str
    queue: Queue
    dead_letters: Queue
    max_receives: int


@dataclass(frozen=True)
class Rule:
    """Who hears what: events on `bus` that match `pattern` go to the inbox of `service`."""

    name: str
    bus: str
    service: str
    pattern: Mapping[str, Any] = field(hash=False)

    def arn(self, account: str) -> str:
        """As queue policies name it; AWS leaves the default bus out."""
        path = self.name if self.bus == DEFAULT_BUS else f"{self.bus}/{self.name}"
        return f"arn:aws:events:{REGION}:{account}:rule/{path}"

    @property
    def pattern_json(self) -> str:
        """The pattern as EventBridge takes it."""
        return json.dumps(self.pattern, sort_keys=True)


@dataclass(frozen=True)
class Index:
    """A global secondary index that holds whole items."""

    name: str
    partition_key: str
    sort_key: str


@dataclass(frozen=True)
class Table:
    """The log, or the API's keys: paid per request, every key attribute a string."""

    name: str
    partition_key: str
    indexes: tuple[Index, ...]
    expiry_attribute: str

    @property
    def key_attributes(self) -> tuple[str, ...]:
        """Every attribute that is a key of the table or of an index, once."""
        names = [self.partition_key]
        for index in self.indexes:
            names += [index.partition_key, index.sort_key]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Resources:
    """Everything, for one prefix."""

    bucket: Bucket
    quarantine: Bucket
    bus: str
    inboxes: tuple[Inbox, ...]
    rules: tuple[Rule, ...]
    log_table: Table
    keys_table: Table

    def inbox(self, service: str) -> Inbox:
        """The inbox of a service; KeyError where it has none."""
        for inbox in self.inboxes:
            if inbox.service == service:
                return inbox
        raise KeyError(service)

    def rules_to(self, service: str) -> tuple[Rule, ...]:
        """The rules that feed a service's inbox."""
        return tuple(rule for rule in self.rules if rule.service == service)


def describe(prefix: str = DEFAULT_PREFIX) -> Resources:
    """The resources of the stack with this prefix."""
    bucket = Bucket(f"{prefix}-lake")
    return Resources(
        bucket=bucket,
        quarantine=Bucket(f"{prefix}-quarantine", versioned=False, eventbridge_notifications=False),
        bus=prefix,
        inboxes=tuple(_inbox(prefix, service) for service in MAX_RECEIVES),
        rules=_rules(prefix, bucket),
        log_table=_log_table(prefix),
        keys_table=Table(f"{prefix}-keys", api_keys.KEY_ID, (), api_keys.EXPIRY),
    )


def _inbox(prefix: str, service: str) -> Inbox:
    return Inbox(
        service=service,
        queue=Queue(f"{prefix}-{service}", INBOX_RETENTION_SECONDS),
        dead_letters=Queue(f"{prefix}-{service}-dead", DEAD_LETTER_RETENTION_SECONDS),
        max_receives=MAX_RECEIVES[service],
    )


def _rules(prefix: str, bucket: Bucket) -> tuple[Rule, ...]:
    landed = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [bucket.name]}},
    }
    routed = {
        "source": [SOURCE],
        "detail-type": [DropRouted.detail_type, RevertRequested.detail_type],
    }
    replayed = {"source": [SOURCE], "detail-type": [ReplayRequested.detail_type]}
    every_fact = {"source": [SOURCE]}
    return (
        Rule(f"{prefix}-lake", DEFAULT_BUS, "router", landed),
        Rule(f"{prefix}-replay", prefix, "router", replayed),
        Rule(f"{prefix}-loader", prefix, "loader", routed),
        Rule(f"{prefix}-logger", prefix, "logger", every_fact),
    )


def _log_table(prefix: str) -> Table:
    return Table(
        name=f"{prefix}-log",
        partition_key=log_schema.KEY,
        indexes=tuple(
            Index(name, partition_key, log_schema.KEY)
            for name, partition_key in log_schema.INDEX_KEYS.items()
        ),
        expiry_attribute=log_schema.EXPIRY,
    )
