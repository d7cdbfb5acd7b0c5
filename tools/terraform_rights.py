"""Who may do what on AWS, and why: a table from the policy documents of infra/terraform.

A right that this file has no words for is an error, so the table cannot leave one out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.terraform_blocks import Block, blocks, modules, text

DOCUMENT: Final = "aws_iam_policy_document"

_HOLDERS: Final = {
    "router": "router",
    "loader": "loader",
    "logger": "logger",
    "api": "api",
    "verifier": "verifier",
    "warehouse_secret": "loader, verifier",
    "prepare": "the task that makes the role of the services, in an Aurora made here",
    "prepare_trust": "ECS, for the role of that task",
    "service/inbox_access": "router, loader, logger",
    "service/protection": "each that is scaled by its backlog",
    "service/key_access": "each, with a key of your own",
    "service/execution": "ECS, to start a service",
    "service/trust": "ECS, for the roles of tasks",
    "service/inbox": "the rules, on an inbox",
    "undelivered": "the rules, on the undelivered",
    "alerts": "on the topic of alerts",
    "network/flows": "the VPC made here",
    "network/flows_trust": "the VPC's flow log, for its role",
    "bucket/tls_only": "nobody",
}
"""Document, with its module before it where that is not the root -> who has its rights."""

_MERGES: Final = frozenset({"service/task"})
"""Documents that only put others together."""

_RESOURCES: Final = {
    "aws_cloudwatch_event_bus.facts.arn": "the bus",
    "local.warehouse.secret_arn": "the warehouse's secret",
    "module.postgres[0].admin_secret_arn": "the secret of the master user",
    "module.warehouse_secret[0].arn": "that of the services' role",
    "local.warehouse.api_secret_arn": "the warehouse's secret of the API",
    "statement.value": "the secret's own key",
    '"${local.lake.arn}/*"': "objects of the lake",
    "local.lake.arn": "the lake",
    "module.quarantine.arn": "the quarantine",
    "for one in local.with_inbox : one.dead_letters_arn": "the dead-letter queues",
    "for one in local.with_inbox : one.inbox_arn": "the inboxes",
    '"${module.quarantine.arn}/*"': "objects of the quarantine",
    'for db in var.contracts_inferred_for : "${local.lake.arn}/${db}/schema/*/inferred.json"': (
        "`<db>/schema/*/inferred.json` of the lake, for each db of `contracts_inferred_for`"
    ),
    "aws_dynamodb_table.log.arn": "the log",
    "aws_dynamodb_table.keys.arn": "the API's keys",
    '"${aws_dynamodb_table.log.arn}/index/*"': "the log's indexes",
    "aws_sqs_queue.undelivered.arn": "the queue of the undelivered",
    "aws_sns_topic.alerts.arn": "the topic of alerts",
    "aws_sqs_queue.inbox[0].arn": "its inbox",
    "var.platform.kms_key_arn": "your key",
    "var.kms_key_arn": "your key",
    '"${replace(var.platform.cluster_arn, ":cluster/", ":task/")}/*"': "tasks of the cluster",
    '"${aws_cloudwatch_log_group.this.arn}:*"': "its log group",
    '"${aws_cloudwatch_log_group.flows.arn}:*"': "the log group of flows",
    '"${join(":", slice(split(":", aws_cloudwatch_log_group.flows.arn), 0, 5))}:log-group:*"': (
        "log groups of the account"
    ),
    "local.image_repository_arns": "its repository, where `image_registry` is one of ECR",
    "values(var.secrets)": "its secrets",
    '"*"': "`*`: AWS knows no resource for it",
    "aws_s3_bucket.this.arn": "the bucket",
    '"${aws_s3_bucket.this.arn}/*"': "and its objects",
    "": "the role",
}

_ONLY_WHERE: Final = {
    "var.warehouse.secret_kms_key_arn": "where `warehouse.secret_kms_key_arn` is given",
    "length(var.contracts_inferred_for)": "where contracts are inferred",
    "length(local.image_repository_arns)": "where images come from ECR",
    "length(var.secrets) > 0 && var.platform.kms_key_arn": "with a key of your own",
    "length(var.secrets)": "where it has secrets",
    "var.kms_key_arn": "with a key of your own",
    "var.platform.kms_key_arn": "with a key of your own",
}
"""How the condition of a statement begins -> in words; the longer ones first."""


@dataclass(frozen=True)
class Right:
    """One statement of a policy document."""

    document: str
    statement: Block
    condition: str

    def row(self) -> str:
        """Its line of the table.

        Raises:
            ValueError: there are no words for something in it.
        """
        given = self.statement.arguments()
        refused = " (refused)" if "Deny" in given.get("effect", "") else ""
        resources = _items(given.get("resources"))
        named = ", ".join(_word(_RESOURCES, one, self.document) for one in resources)
        actions = ", ".join(f"`{text(one)}`" for one in _items(given["actions"]))
        who = _word(_HOLDERS, self.document, "infra/terraform")
        return f"| {who} | {actions}{refused} | {named} | {self.why()} |"

    def why(self) -> str:
        """Its sid, spelled out, and when it is there at all."""
        sid = text(self.statement.arguments().get("sid", '"TakeTheRole"'))
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", sid).lower()
        only = [said for begin, said in _ONLY_WHERE.items() if self.condition.startswith(begin)]
        if self.condition and not only:
            raise ValueError(f"{self.document}: no words for {self.condition}")
        conditions = [one for one in self.statement.inner() if one.kind == "condition"]
        bound = [f"by `{text(one.arguments()['variable'])}`" for one in conditions]
        return ", ".join([words, *bound, *only[:1]])


def rights(root: Path) -> str:
    """The table of every right that the module's policy documents give or refuse."""
    order = list(_HOLDERS)
    found = sorted(every_right(root), key=lambda one: _place(order, one.document))
    rows = [one.row() for one in found]
    return "\n".join(["| who | may | on | to |", "|---|---|---|---|", *rows])


def every_right(root: Path) -> Iterator[Right]:
    """Each statement of each document, the modules' among them; examples are a user's own."""
    for module in (one for one in modules(root) if one.parent.name != "examples"):
        prefix = f"{module.name}/" if module.parent.name == "modules" else ""
        for document in blocks(module, "data"):
            if document.labels[0] == DOCUMENT and prefix + document.name not in _MERGES:
                yield from _statements(prefix + document.name, document)


def _statements(name: str, document: Block) -> Iterator[Right]:
    for block in document.inner():
        if block.kind == "statement":
            yield Right(name, block, "")
        if block.kind == "dynamic":
            yield Right(name, block.inner()[0], block.arguments()["for_each"])


def _items(expression: str | None) -> list[str]:
    """The parts of a list; what is no list is one part."""
    if expression is None:
        return [""]
    flat = " ".join(expression.split())
    if not flat.startswith("["):
        return [flat]
    inner = flat[1:-1].strip().rstrip(",")
    return [inner] if inner in _RESOURCES else [one.strip() for one in inner.split(", ")]


def _word(words: dict[str, str], key: str, where: str) -> str:
    if key not in words:
        raise ValueError(f"{where}: tools/terraform_rights.py has no words for {key}")
    return words[key]


def _place(order: list[str], document: str) -> int:
    return order.index(document) if document in order else len(order)
