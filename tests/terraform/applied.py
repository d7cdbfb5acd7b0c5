"""Headrace as Terraform makes it, in an account on the emulator, with a Postgres beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from headrace_local import postgres
from headrace_local.api_keys import local_key, put_key
from headrace_local.resources import REGION
from headrace_local.stack import Stack
from tests.containers.engine import SERVICES, engine
from tests.real_parts import postgres_at
from tests.running_platform import Reached, eventually
from tests.terraform.account import Account, without_batches
from tests.terraform.terraform import Terraform

PREFIX: Final = "headrace"
SECRET: Final = "warehouse"
VERIFICATION_SECONDS: Final = 3
APPLY_SECONDS: Final = 900


@dataclass
class Applied(Reached):
    """The stack, reached by what Terraform says of it."""

    account: Account
    terraform: Terraform
    outputs: dict[str, Any] = field(default_factory=dict)

    def containers(self, service: str) -> list[Any]:
        """The running ones of a service."""
        with engine() as client:
            label = f"com.amazonaws.ecs.container-name={service}"
            found: list[Any] = client.containers.list(filters={"label": label})
            return found

    def crash(self, service: str) -> None:
        """Its tasks die; ECS starts others."""
        for container in self.containers(service):
            container.kill()

    def log_lines(self, service: str, since: int) -> list[str]:
        """What a service wrote into its log group since then, in milliseconds since the epoch."""
        logs = self.account.client("logs")
        found = logs.filter_log_events(
            logGroupName=self.outputs["log_groups"][service], startTime=since, limit=10_000
        )
        return [event["message"] for event in found["events"]]


def variables(account: Account, secret_arn: str, warehouse_port: int, tag: str) -> dict[str, Any]:
    """As a user would write them into terraform.tfvars, but for what an emulator needs."""
    # A poll in flight is what an orderly end, and a change of permissions, wait for.
    brisk = {"HEADRACE_POLL_SECONDS": "1"}
    own = {
        "router": brisk,
        "loader": brisk,
        "logger": brisk,
        "verifier": {
            # Drops are looked at while they are young, and often.
            "HEADRACE_INTERVAL_SECONDS": str(VERIFICATION_SECONDS),
            "HEADRACE_VERIFY_GRACE_SECONDS": "1",
        },
    }
    return {
        "name": PREFIX,
        "databases": ["dev"],
        "contracts_inferred_for": ["dev"],
        "image_registry": "headrace",
        "image_tag": tag,
        "architecture": "X86_64",
        # The emulator knows no application auto scaling: terraform test covers it.
        "autoscaling": False,
        "emulated": True,
        "alert_each_drop": ["rejected"],
        "destroy_with_data": True,
        "warehouse": {
            "secret_arn": secret_arn,
            "host": account.address,
            "port": warehouse_port,
            "database": postgres.DATABASE,
            "sslmode": "disable",
        },
        "services": {
            service: {
                "minimum_tasks": 1,
                "environment": account.task_environment(service) | own.get(service, {}),
            }
            for service in SERVICES
        },
    }


def secret(account: Account, cluster: postgres.Cluster) -> str:
    """The warehouse's secret, as RDS writes it; its ARN."""
    value = {"username": postgres.ROLE, "password": cluster.password}
    made = account.client("secretsmanager").create_secret(
        Name=SECRET, SecretString=json.dumps(value)
    )
    return str(made["ARN"])


PROVIDER: Final = """\
provider "aws" {
  region                      = "%s"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}
"""
"""An emulator has one address for everything, and finds buckets by path alone."""


def configure_provider(terraform: Terraform) -> None:
    """Makes a root module of the copy: the stack itself has no provider block."""
    (terraform.folder / "provider.tf").write_text(PROVIDER % REGION)


@contextmanager
def applied(account: Account, terraform: Terraform, tag: str) -> Iterator[Applied]:
    """The whole stack; destroyed with the block unless the test did it."""
    with ExitStack() as stack:
        cluster, port = stack.enter_context(postgres_at(account.address))
        given = variables(account, secret(account, cluster), port, tag)
        terraform.var_file = terraform.folder / "test.tfvars.json"
        terraform.var_file.write_text(json.dumps(given))
        terraform.apply(seconds=APPLY_SECONDS)
        stack.callback(destroy, account, terraform)
        reached = _reached(account, terraform, cluster.dsn(port))
        eventually(lambda: _answers(reached), "the API answers through its load balancer")
        yield reached


def _answers(reached: Applied) -> bool:
    # Refused, answered by the load balancer, or too slow: it has only begun.
    with suppress(OSError):
        reached.get("/readyz")
        return True
    return False


def destroy(account: Account, terraform: Terraform) -> None:
    """Everything that Terraform made."""
    without_batches(account, PREFIX)
    terraform.destroy(seconds=APPLY_SECONDS)


@contextmanager
def scaled(stack: Applied, service: str, tasks: int) -> Iterator[None]:
    """So many tasks, within the block. The emulator has no application auto scaling, and an apply
    leaves the number alone: so ECS is called, as scaling itself would call it."""
    ecs = stack.account.client("ecs")
    cluster = stack.outputs["cluster_name"]
    [before] = ecs.describe_services(cluster=cluster, services=[service])["services"]
    ecs.update_service(cluster=cluster, service=service, desiredCount=tasks)
    try:
        yield
    finally:
        ecs.update_service(cluster=cluster, service=service, desiredCount=before["desiredCount"])


def left_over(account: Account) -> list[str]:
    """Names of what is in the account, but for the warehouse's secret, which is the user's own."""
    client = account.client
    found: list[str] = [one["Name"] for one in client("s3").list_buckets()["Buckets"]]
    found += client("sqs").list_queues().get("QueueUrls", [])
    found += client("dynamodb").list_tables()["TableNames"]
    found += [one["Name"] for one in client("events").list_event_buses()["EventBuses"]]
    found += [one["Name"] for one in client("events").list_rules()["Rules"]]
    found += client("ecs").list_clusters()["clusterArns"]
    found += [one["RoleName"] for one in client("iam").list_roles()["Roles"]]
    found += [one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]]
    balancers = client("elbv2").describe_load_balancers()["LoadBalancers"]
    found += [one["LoadBalancerName"] for one in balancers]
    found += [one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]]
    found += [one["TopicArn"] for one in client("sns").list_topics()["Topics"]]
    return sorted(set(found) - {"default", SECRET})


def _reached(account: Account, terraform: Terraform, dsn: str) -> Applied:
    outputs = terraform.outputs()
    text, key = local_key()
    put_key(account.client("dynamodb"), outputs["keys_table"], key)
    stack = Stack(
        # The emulator's load balancers answer below a path of its own.
        api_url=f"{account.url}/_alb/{PREFIX}-api",
        api_key=text,
        aws_endpoint_url=account.url,
        aws_region=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        lake_bucket=outputs["lake_bucket"],
        quarantine_bucket=outputs["quarantine_bucket"],
        bus_name=outputs["bus_name"],
        log_table=outputs["log_table"],
        keys_table=outputs["keys_table"],
        warehouse_dsn=dsn,
        inboxes=outputs["inboxes"],
        dead_letter_queues=outputs["dead_letter_queues"],
        processes={},
    )
    return Applied(stack, account, terraform, outputs)
