"""What the fixtures of real parts hand to a test."""

from __future__ import annotations

from dataclasses import dataclass

from headrace_local.provision import Clients, Provisioned
from headrace_local.resources import Resources


@dataclass(frozen=True)
class AwsStack:
    """The resources of one test on the shared emulator."""

    endpoint_url: str
    resources: Resources
    clients: Clients
    provisioned: Provisioned

    def queue_url(self, service: str) -> str:
        return self.provisioned.inboxes[service]
