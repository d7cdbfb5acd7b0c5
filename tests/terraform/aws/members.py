"""What each of our resources becomes in AWS's API (mapping.py says what an entry means)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.terraform.aws.mapping import Api
from tests.terraform.aws.members_compute import CONTAINERS, NETWORKS
from tests.terraform.aws.members_events import EVENTS
from tests.terraform.aws.members_stores import RIGHTS, STORES

MEMBERS: Final[Mapping[str, Api]] = {**NETWORKS, **CONTAINERS, **EVENTS, **STORES, **RIGHTS}
