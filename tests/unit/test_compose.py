"""compose.yaml speaks of the same platform as `headrace up`: settings, names and images."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from headrace_local import emulator
from headrace_local.resources import REGION, describe
from headrace_shared.settings import PREFIX
from tools.settings_tables import MODELS, ROOT

EMULATOR = "http://emulator:4566"


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


@pytest.mark.parametrize("service", MODELS)
def test_settings_are_those_that_the_service_reads(service: str, services: dict[str, Any]) -> None:
    env = services[service]["environment"]
    ours = {name.removeprefix(PREFIX).lower(): env[name] for name in env if PREFIX in name}
    assert set(ours) <= set(MODELS[service].model_fields)
    MODELS[service].model_validate(ours)


@pytest.mark.parametrize("service", MODELS)
def test_service_may_nothing_that_it_does_not_need(service: str, services: dict[str, Any]) -> None:
    one = services[service]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    # The volume of the image is on disk: the loader keeps whole files there.
    assert one.get("tmpfs") == (None if service == "loader" else ["/tmp"])


@pytest.mark.parametrize("service", ["router", "loader", "logger"])
def test_poll_and_grace_end_before_the_engine_kills(service: str, services: dict[str, Any]) -> None:
    one = services[service]
    env = one["environment"]
    polled = float(env["HEADRACE_POLL_SECONDS"]) + float(env["HEADRACE_GRACE_SECONDS"])
    assert polled < float(one["stop_grace_period"].removesuffix("s"))


def test_names_are_those_that_provisioning_makes(services: dict[str, Any]) -> None:
    names = describe()
    for service in ("router", "loader", "logger"):
        env = services[service]["environment"]
        queue = names.inbox(service).queue.name
        assert env["HEADRACE_INBOX_URL"] == f"{EMULATOR}/{emulator.ACCOUNT}/{queue}"
        assert env["HEADRACE_BUS_NAME"] == names.bus
    for service in ("logger", "api", "verifier"):
        assert services[service]["environment"]["HEADRACE_LOG_TABLE"] == names.log_table.name
    assert services["api"]["environment"]["HEADRACE_KEYS_TABLE"] == names.keys_table.name
    assert services["verifier"]["environment"]["HEADRACE_LAKE_BUCKET"] == names.bucket.name
    api = services["api"]["environment"]
    assert api["HEADRACE_BUS_NAME"] == names.bus
    assert api["HEADRACE_QUARANTINE_BUCKET"] == names.quarantine.name
    for inbox in names.inboxes:
        ours = {"INBOXES": inbox.queue, "DEAD_LETTER_QUEUES": inbox.dead_letters}
        for setting, of_it in ours.items():
            pair = f"{inbox.service}={EMULATOR}/{emulator.ACCOUNT}/{of_it.name}"
            assert pair in api[f"HEADRACE_{setting}"].split(", ")
    quarantine = services["loader"]["environment"]["HEADRACE_QUARANTINE_BUCKET"]
    assert quarantine == names.quarantine.name


def test_emulator_is_the_one_of_this_machine(services: dict[str, Any]) -> None:
    env = services["emulator"]["environment"]
    assert env["SERVICES"] == emulator.SERVICES
    assert env["MINISTACK_ACCOUNT_ID"] == emulator.ACCOUNT
    for service in (*MODELS, "provision"):
        env = services[service]["environment"]
        assert env["AWS_ENDPOINT_URL"] == EMULATOR
        assert (env["AWS_REGION"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]) == (
            REGION,
            emulator.ACCESS_KEY_ID,
            emulator.SECRET_ACCESS_KEY,
        )


def test_every_port_is_on_loopback(services: dict[str, Any]) -> None:
    ports = [port for one in services.values() for port in one.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_stand_on_one_base() -> None:
    files = (ROOT / "services" / "Dockerfile", ROOT / "local" / "Dockerfile")
    bases = [re.findall(r"(?m)^ARG B(?:ASE|UILD)_IMAGE=.*", one.read_text()) for one in files]
    assert bases[0] == bases[1]
    assert len(bases[0]) == 2
