"""What compose.yaml describes, run by testcontainers: the same images, settings and restrictions.

Postgres alone is the embedded one, on this machine beside the containers: it needs no registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from socket import create_server
from typing import Any, Final

import yaml
from docker.models.containers import Container
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from headrace_local.api_keys import local_key, put_key
from headrace_local.ports import LOOPBACK
from headrace_local.resources import describe
from headrace_local.stack import Stack
from tests.containers.engine import LABELS, ROOT, engine
from tests.real_parts import postgres_at
from tests.running_platform import Reached, eventually

# More than the longest pause between two touches: what lives is never unhealthy.
STALE_SECONDS: Final = 8
_SECOND_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True)
class Warehouse:
    """The same database, as this machine and as a container reach it; `host` is where a container
    finds the machine."""

    dsn: str
    from_container: str
    host: str


@dataclass
class Composed:
    """A network with the emulator on it; `stack` ends what is started."""

    tag: str
    warehouse: Warehouse
    network: Network
    stack: ExitStack
    running: dict[str, DockerContainer] = field(default_factory=dict)

    def described(self, service: str) -> Mapping[str, Any]:
        """The entry of compose.yaml."""
        found: Mapping[str, Any] = services(self.tag)[service]
        return found

    def container(self, service: str) -> DockerContainer:
        """Not started."""
        one = self.described(service)
        made = DockerContainer(
            one["image"], network=self.network, network_aliases=[service], env=self._env(one)
        )
        if "command" in one:
            made.with_command(one["command"])
        for path in one.get("tmpfs", ()):
            made.with_tmpfs_mount(path)
        made.with_exposed_ports(*_inner_ports(one))
        return made.with_kwargs(
            read_only=one["read_only"],
            cap_drop=one["cap_drop"],
            security_opt=one["security_opt"],
            extra_hosts={"postgres": self.warehouse.host},
            labels=dict(LABELS),
            healthcheck=_healthcheck(one, made),
        )

    @contextmanager
    def healthy(self, service: str) -> Iterator[DockerContainer]:
        """Started, and healthy; removed at the block's end."""
        with self.container(service) as container:
            eventually(lambda: health(container) == "healthy", f"{service} is healthy")
            yield container

    def start(self, service: str) -> DockerContainer:
        """Healthy until everything ends; a later one of that name takes its place."""
        started = self.stack.enter_context(self.healthy(service))
        self.running[service] = started
        return started

    def reached(self) -> Reached:
        """The platform by its addresses on this machine; emulator and API run."""
        names = describe()
        env = self.described("provision")["environment"]
        text, key = local_key()
        reached = Reached(
            Stack(
                api_url=self.url("api"),
                api_key=text,
                aws_endpoint_url=self.url("emulator"),
                aws_region=env["AWS_REGION"],
                aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
                lake_bucket=names.bucket.name,
                quarantine_bucket=names.quarantine.name,
                bus_name=names.bus,
                log_table=names.log_table.name,
                keys_table=names.keys_table.name,
                warehouse_dsn=self.warehouse.dsn,
                inboxes={},
                dead_letter_queues={},
                processes={},
            )
        )
        put_key(reached.dynamodb, names.keys_table.name, key)
        return reached

    def url(self, service: str) -> str:
        """As this machine reaches it."""
        container = self.running[service]
        [port] = _inner_ports(self.described(service))
        return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(port)}"

    def _env(self, one: Mapping[str, Any]) -> dict[str, str]:
        env = dict(one["environment"])
        if "HEADRACE_WAREHOUSE_DSN" in env:
            env["HEADRACE_WAREHOUSE_DSN"] = self.warehouse.from_container
        if "HEADRACE_POLL_SECONDS" in env:
            # A poll in flight is what an orderly end waits for.
            env["HEADRACE_POLL_SECONDS"] = "1"
        return env


def _inner_ports(service: Mapping[str, Any]) -> list[int]:
    """Those that a container listens on; this machine gives each a free one of its own."""
    return [int(port.rpartition(":")[2]) for port in service.get("ports", ())]


def services(tag: str) -> dict[str, Any]:
    """The services of compose.yaml, with their images at that tag."""
    text = (ROOT / "compose.yaml").read_text().replace("${TAG:-dev}", tag)
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


def _healthcheck(one: Mapping[str, Any], container: DockerContainer) -> dict[str, Any]:
    """That of compose.yaml, else the image's own; looked at every second, with less patience."""
    image = container.get_docker_client().client.images.get(container.image)
    own = image.attrs["Config"].get("Healthcheck") or {"Test": ["NONE"]}
    command = list(one.get("healthcheck", {}).get("test", own["Test"]))
    if command[-2:-1] == ["--seconds"]:
        command[-1] = str(STALE_SECONDS)
    times = {"interval": _SECOND_NANOSECONDS, "timeout": 5 * _SECOND_NANOSECONDS}
    return {"test": command, **times, "retries": 3, "start_period": 20 * _SECOND_NANOSECONDS}


def health(container: DockerContainer) -> str:
    """`starting`, `healthy` or `unhealthy`, as the engine says at this moment."""
    inner = inside(container)
    inner.reload()
    return str(inner.attrs["State"]["Health"]["Status"])


def inside(container: DockerContainer) -> Container:
    """docker-py's own."""
    return container.get_wrapped_container()


def said(container: DockerContainer) -> str:
    """Everything that it wrote."""
    out, err = container.get_logs()
    return (out + err).decode()


@contextmanager
def composed(tag: str) -> Iterator[Composed]:
    """The emulator runs and is provisioned; what else is started ends with the block."""
    with ExitStack() as stack:
        network = stack.enter_context(Network(docker_network_kw={"labels": dict(LABELS)}))
        warehouse = stack.enter_context(_reachable_postgres(network))
        made = Composed(tag, warehouse, network, stack)
        made.start("emulator")
        with made.container("provision") as provision:
            assert provision.wait() == 0, said(provision)
        yield made


@contextmanager
def _reachable_postgres(network: Network) -> Iterator[Warehouse]:
    """The embedded Postgres, where containers of the network reach it, and no other machine."""
    address = _address(network)
    with postgres_at(address) as (cluster, port):
        dsn = cluster.dsn(port)
        inner = dsn.replace(f"@{LOOPBACK}:", "@postgres:")
        yield Warehouse(dsn, inner, address or "host-gateway")


def _address(network: Network) -> str | None:
    """This machine's on the network; None where the engine runs on a machine of its own, as Docker
    Desktop does: it carries what is for its `host-gateway` to loopback here."""
    with engine() as client:
        gateway = str(client.networks.get(network.name).attrs["IPAM"]["Config"][0]["Gateway"])
    try:
        create_server((gateway, 0)).close()
    except OSError:
        return None
    return gateway
