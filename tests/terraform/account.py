"""An AWS account on the emulator, as near to the real one as it comes: IAM is enforced, ECS starts
containers from our images, and each has the credentials of its own task role.

The emulator's own endpoint for credentials hands out keys that it refuses where IAM is enforced.
So tasks are pointed to one of ours, at the address that ECS's agent has on AWS.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import boto3
from psutil import net_if_addrs

from headrace_local import emulator
from headrace_local.ports import LOOPBACK, answers, listening, port_of
from headrace_local.resources import REGION
from headrace_local.supervisor import Program
from tests.containers.engine import SERVICES, engine
from tests.real_parts import give_up, serving
from tests.terraform.once import asked_once

AGENT: Final = ("169.254.170.2", 80)
"""https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html"""

ROOT_KEY: Final = "test"
"""The emulator takes it for the account's root."""


@dataclass(frozen=True)
class Account:
    """The account; `address` is where this machine and containers find it."""

    address: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    def client(self, service: str) -> Any:
        """Of the account's root, who may do everything."""
        made: Any = boto3.client(  # type: ignore[call-overload]  # any service's name
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ROOT_KEY,
            aws_secret_access_key=ROOT_KEY,
        )
        return made

    @contextmanager
    def environment(self) -> Iterator[dict[str, str]]:
        """For Terraform, within the block: a call that it repeats takes effect once."""
        with asked_once(self.address, self.port) as port:
            yield {
                "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{port}",
                "AWS_ACCESS_KEY_ID": ROOT_KEY,
                "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
                "AWS_REGION": REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
            }

    def task_environment(self, service: str) -> dict[str, str]:
        """What a container needs besides: S3 by an address, for names of buckets before the
        emulator's name lead nowhere; and its role's credentials."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": f"/{service}",
        }


def need_agent_address() -> None:
    """Skips the test where the address of ECS's agent cannot be had; in CI, fails it."""
    if AGENT[0] in {address.address for found in net_if_addrs().values() for address in found}:
        return
    added = subprocess.run(
        ["ip", "address", "add", f"{AGENT[0]}/32", "dev", "lo"],
        capture_output=True,
        text=True,
        check=False,
    )
    if added.returncode != 0:
        command = f"ip address add {AGENT[0]}/32 dev lo, as root"
        give_up(f"ECS's agent's address cannot be had: {added.stderr.strip()} ({command})")


@contextmanager
def running_account(folder: Path, prefix: str) -> Iterator[Account]:
    """The emulator with all its services, and the endpoint for the tasks' credentials."""
    address = bridge_address()
    with ExitStack() as stack:
        listener = stack.enter_context(listening(host=address))
        account = Account(address, port_of(listener))
        stack.enter_context(serving(_program(account, listener), folder))
        stack.callback(_remove_tasks)
        stack.enter_context(_agent(RoleCredentials(account, prefix)))
        yield account


def bridge_address() -> str:
    """This machine, as containers see it."""
    with engine() as client:
        config = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    # An engine that was told no gateway takes the first address, and does not say so.
    first = next(ip_network(config["Subnet"]).hosts())
    return str(config.get("Gateway", first))


def _program(account: Account, listener: socket.socket) -> Program:
    program = emulator.emulator(listener, None)
    left_out = ("SERVICES", "DOCKER_HOST")
    env = {name: value for name, value in program.env.items() if name not in left_out}
    env |= {"AUTH": "true", "MINISTACK_HOST": account.address}

    async def is_ready() -> bool:
        return answers(f"{account.url}/_ministack/health")

    return replace(program, env=env, is_ready=is_ready)


def _remove_tasks() -> None:
    with engine() as client:
        for container in client.containers.list(all=True, filters={"name": "ministack-ecs-"}):
            container.remove(force=True, v=True)


class RoleCredentials:
    """Credentials of the task roles `<prefix>-<service>-task`, as ECS's agent hands them out."""

    def __init__(self, account: Account, prefix: str) -> None:
        self._iam, self._sts = account.client("iam"), account.client("sts")
        self._prefix = prefix
        self._lock = threading.Lock()

    def of(self, service: str) -> dict[str, str]:
        """Raises botocore's ClientError where there is no such role."""
        with self._lock:
            role = self._iam.get_role(RoleName=f"{self._prefix}-{service}-task")["Role"]
            self._allow_batches(role["RoleName"])
            given = self._assumed(role)["Credentials"]
        return {
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": given["Expiration"].isoformat(),
        }

    def _assumed(self, role: dict[str, Any]) -> Any:
        # The role trusts ECS alone, which nobody can be here: for this moment it trusts root too.
        trust = role["AssumeRolePolicyDocument"]
        root = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
        self._trust(role, trust | {"Statement": [*trust["Statement"], root]})
        try:
            return self._sts.assume_role(RoleArn=role["Arn"], RoleSessionName="task")
        finally:
            self._trust(role, trust)

    def _trust(self, role: dict[str, Any], document: dict[str, Any]) -> None:
        self._iam.update_assume_role_policy(
            RoleName=role["RoleName"], PolicyDocument=json.dumps(document)
        )

    def _allow_batches(self, role_name: str) -> None:
        """AWS has no rights to batches: one needs the right to what it does, and nothing else. And
        the emulator does not know which queue the source of a move task is."""
        of_the_emulator = [
            "sqs:DeleteMessageBatch",
            "sqs:ChangeMessageVisibilityBatch",
            "sqs:ListMessageMoveTasks",
            "sqs:StartMessageMoveTask",
        ]
        allowed = {"Effect": "Allow", "Action": of_the_emulator, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [allowed]}
        self._iam.put_role_policy(
            RoleName=role_name, PolicyName=BATCHES, PolicyDocument=json.dumps(document)
        )


@contextmanager
def subscribed(account: Account, topic_arn: str) -> Iterator[Callable[[], list[str]]]:
    """What a topic says within the block, once it says something."""
    sqs, sns = account.client("sqs"), account.client("sns")
    url = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscription = sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)

    def heard() -> list[str]:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20, MaxNumberOfMessages=10)
        return [json.loads(one["Body"])["Message"] for one in answer.get("Messages", [])]

    try:
        yield heard
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)


BATCHES: Final = "emulator-batches"


def without_batches(account: Account, prefix: str) -> None:
    """Takes away what was added to the roles, so that they can be destroyed."""
    iam = account.client("iam")
    for service in SERVICES:
        name = f"{prefix}-{service}-task"
        if BATCHES in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=BATCHES)


@contextmanager
def _agent(credentials: RoleCredentials) -> Iterator[None]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(credentials.of(self.path.strip("/"))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(AGENT, Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
