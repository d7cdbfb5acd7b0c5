"""Settings come from the environment, and a wrong one is told in one sentence by its name."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from headrace_shared.settings import InboxSettings, ServiceSettings, describe

ENVIRONMENT = {"HEADRACE_INBOX_URL": "http://sqs/inbox", "HEADRACE_BUS_NAME": "headrace"}


class Aliased(ServiceSettings):
    """One setting with a name of ours, one with somebody else's."""

    port: int = Field(description="Ours.")
    agent_port: int = Field(validation_alias="ECS_AGENT_PORT", description="Theirs.")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_wrong_settings_are_named_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECS_AGENT_PORT", "the inner secret")
    with pytest.raises(ValidationError) as raised:
        Aliased()
    told = describe(raised.value)
    assert told.startswith("Settings: HEADRACE_PORT is missing; ECS_AGENT_PORT is wrong (")
    assert "secret" not in told


def test_address_of_the_ecs_agent_is_read_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert InboxSettings().ecs_agent_uri is None
    monkeypatch.setenv("ECS_AGENT_URI", "http://169.254.170.2/api/1")
    read = InboxSettings()
    assert (read.ecs_agent_uri, read.protect_tasks) == ("http://169.254.170.2/api/1", False)
