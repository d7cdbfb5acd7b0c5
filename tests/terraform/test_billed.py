"""What tools/terraform_cost.py counts of the stack, held against the state that a test makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from tests.terraform import states
from tests.terraform.aws.series import formulas
from tests.terraform.aws.state import Resource, State
from tools import terraform_cost

pytestmark = pytest.mark.timeout(960)

DEFAULT: Final = "variants/by_default"
ALARMS_OF_A_TARGET: Final = 2
"""A policy that tracks a target makes one to scale out and one to scale in."""


@pytest.fixture(scope="module")
def default(tested: Callable[[str], states.Tested]) -> State:
    """The stack as it is without any choice."""
    return next(one for one in tested(".").states if one.variant == DEFAULT)


def test_alarms_are_billed_by_the_metrics_in_them(default: State) -> None:
    metrics = {formula.place.split(": ")[0]: len(formula.series) for formula in formulas(default)}

    def billed(one: Resource) -> int:
        return metrics.get(one.address, 1)

    ours = sum(billed(alarm) for alarm in default.of("aws_cloudwatch_metric_alarm"))
    policies = default.of("aws_appautoscaling_policy")
    tracking = [one for one in policies if one.values["policy_type"] == "TargetTrackingScaling"]
    scaling = ALARMS_OF_A_TARGET * sum(billed(policy) for policy in tracking)
    assert ours + scaling == terraform_cost.ALARMS


def test_interface_endpoints_are_those_of_the_network(default: State) -> None:
    kinds = [one.values["vpc_endpoint_type"] for one in default.of("aws_vpc_endpoint")]
    assert kinds.count("Interface") == terraform_cost.endpoints()
