"""ECS task definitions: sizes that Fargate has, and containers as ECS's own model wants them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.validate import ParamValidator

from tests.terraform.aws.api import Member, start
from tests.terraform.aws.prose import prose
from tests.terraform.aws.state import Resource, State

_SIZES: Final = "botocore: ecs RegisterTaskDefinition.memory"
_CONTAINERS: Final = "ECS developer guide, Task definition parameters for Fargate"
_DEFINITIONS: Final = "ecs:RegisterTaskDefinition:containerDefinitions"
_LONGEST_STOP_SECONDS: Final = 120
_IMAGE: Final = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]{1,2}[a-z0-9]+)*"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_CPU_OF_MEMORIES: Final = re.compile(
    r"- Available cpu values: (\d+) \([^)]*\)(?: This option requires [\w .]+ or later\.)?"
)
_IN_BRACKETS: Final = re.compile(r"\([^)]*\)")
_LOG_MODES: Final = ("blocking", "non-blocking")


def unknown_sizes(state: State) -> Iterator[str]:
    """Pairs of CPU units and memory that Fargate does not have."""
    for task in state.of("aws_ecs_task_definition"):
        if "FARGATE" not in (task.values.get("requires_compatibilities") or ()):
            continue
        cpu, memory = int(task.values["cpu"]), int(task.values["memory"])
        sizes = fargate_sizes()
        if memory not in sizes.get(cpu, ()):
            allowed = ", ".join(str(one) for one in sizes.get(cpu, ())) or "no memory"
            yield f"{task.address}: memory: {memory} MiB with {cpu} CPU units; {allowed} ({_SIZES})"


def refused_containers(state: State) -> Iterator[str]:
    """Container definitions with members, types or values that ECS does not take."""
    for task in state.of("aws_ecs_task_definition"):
        for fault in _faults(task):
            yield f"{task.address}: container_definitions: {fault}"


def unbound_containers(state: State) -> Iterator[str]:
    """Services whose load balancer sends to a container or port that its task does not have."""
    tasks = {one.values.get("arn"): one for one in state.of("aws_ecs_task_definition")}
    for service in state.of("aws_ecs_service"):
        task = tasks.get(service.values.get("task_definition"))
        for block in service.values.get("load_balancer") or () if task else ():
            ports = {
                (container["name"], mapping["containerPort"])
                for container in _containers(task)
                for mapping in container.get("portMappings", ())
            }
            bound = (block["container_name"], block["container_port"])
            if bound not in ports:
                yield f"{service.address}: load_balancer: its task has no {bound} ({_CONTAINERS})"


@cache
def fargate_sizes() -> Mapping[int, tuple[int, ...]]:
    """CPU units -> MiB of memory, as the documentation of the member lists them."""
    text = prose(start("ecs:RegisterTaskDefinition:memory").shape)
    # Memories, then the CPU units that have them: "512 (0.5 GB), ... - Available cpu values: 256".
    parts = _CPU_OF_MEMORIES.split(text[text.index("512 (0.5 GB)") :])
    return {
        int(cpu): tuple(_memories(memories))
        for memories, cpu in zip(parts[::2], parts[1::2], strict=False)
    }


def _memories(text: str) -> Iterator[int]:
    numbers = [
        int(number) * (1_024 if unit else 1)
        for number, unit in re.findall(r"(\d+) ?(GB)?", _IN_BRACKETS.sub("", text))
    ]
    if "Between" in text:
        low, high, step = numbers
        yield from range(low, high + 1, step)
    else:
        yield from numbers


def _containers(task: Resource | None) -> list[dict[str, Any]]:
    try:
        found = json.loads(task.values["container_definitions"]) if task else []
    except (KeyError, TypeError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _faults(task: Resource) -> Iterator[str]:
    containers = _containers(task)
    if not any(one.get("essential", True) for one in containers):
        yield f"no container is essential ({_CONTAINERS})"
    whole = {"family": "any", "containerDefinitions": containers}
    report = ParamValidator().validate(whole, start("ecs:RegisterTaskDefinition").shape)
    if report.has_errors():
        yield f"{report.generate_report()} (botocore: ecs RegisterTaskDefinition)"
        return
    volumes = {one["name"] for one in task.values.get("volume") or ()}
    for container in containers:
        yield from _of_members(container, start(_DEFINITIONS), "")
        yield from _of_container(container, volumes)


def _of_members(value: Any, member: Member, at: str) -> Iterator[str]:
    """Every value within, against the model and the documentation of its member."""
    shape: Shape = member.shape
    if isinstance(value, list):
        inner = shape.member if isinstance(shape, ListShape) else shape
        for position, one in enumerate(value):
            yield from _of_members(one, Member(member.name, inner), f"{at}[{position}]")
    elif isinstance(value, Mapping) and not isinstance(shape, MapShape):
        shape = shape.member if isinstance(shape, ListShape) else shape
        assert isinstance(shape, StructureShape)
        for name, one in value.items():
            below = Member(f"{member.name}.{name}", shape.members[name])
            yield from _of_members(one, below, f"{at}.{name}")
    elif not isinstance(value, bool):
        yield from (f"{at.lstrip('.')}: {fault}" for fault in member.faults(value))


def _of_container(container: Mapping[str, Any], volumes: set[str]) -> Iterator[str]:
    if not _IMAGE.fullmatch(container.get("image", "")):
        yield f"image: {container.get('image')!r} is no name of an image ({_CONTAINERS})"
    if container.get("stopTimeout", 0) > _LONGEST_STOP_SECONDS:
        yield f"stopTimeout: more than {_LONGEST_STOP_SECONDS} s on Fargate ({_CONTAINERS})"
    command = container.get("healthCheck", {}).get("command", ["CMD"])
    if not command or command[0] not in ("CMD", "CMD-SHELL", "NONE"):
        yield f"healthCheck: its command begins with CMD or CMD-SHELL ({_CONTAINERS})"
    yield from _of_environment(container)
    yield from _of_places(container, volumes)
    yield from _of_log(container.get("logConfiguration", {}))


def _of_environment(container: Mapping[str, Any]) -> Iterator[str]:
    secrets = container.get("secrets", ())
    names = [one["name"] for one in (*container.get("environment", ()), *secrets)]
    for name in sorted({one for one in names if names.count(one) > 1}):
        yield f"environment: {name} is given twice ({_CONTAINERS})"
    for one in secrets:
        if not one["valueFrom"].startswith(("arn:", "/")):
            yield f"secrets: {one['name']}: {one['valueFrom']!r} is no ARN ({_CONTAINERS})"


def _of_places(container: Mapping[str, Any], volumes: set[str]) -> Iterator[str]:
    for one in container.get("mountPoints", ()):
        if one.get("sourceVolume") not in volumes:
            yield f"mountPoints: there is no volume {one.get('sourceVolume')!r} ({_CONTAINERS})"
    for one in container.get("portMappings", ()):
        if one.get("hostPort", one["containerPort"]) != one["containerPort"]:
            yield f"portMappings: awsvpc wants the same port on both sides ({_CONTAINERS})"


def _of_log(log: Mapping[str, Any]) -> Iterator[str]:
    options = log.get("options", {})
    if log.get("logDriver") == "awslogs":
        for name in ("awslogs-group", "awslogs-region", "awslogs-stream-prefix"):
            if not options.get(name):
                yield f"logConfiguration: {name} is missing, and Fargate needs it ({_CONTAINERS})"
    if options.get("mode", "blocking") not in _LOG_MODES:
        yield f"logConfiguration: mode {options['mode']!r} is unknown ({_CONTAINERS})"
