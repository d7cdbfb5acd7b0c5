"""What AWS would refuse of infra/terraform, in every variant that has a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.terraform import states
from tests.terraform.aws import policies
from tests.terraform.aws.rules import RULES, Rule
from tests.terraform.aws.state import Resource, State
from tests.terraform.terraform import SOURCE

POLICIES: Final = sorted(
    path
    for path in SOURCE.rglob("*.json")
    if ".terraform" not in path.parts and '"Statement"' in path.read_text()
)
PLACES: Final = {"REGION": "ap-southeast-1", "ACCOUNT": "111122223333", "NAME": "n" * 28}
"""What a user writes in place of these words; of the greatest length."""

pytestmark = pytest.mark.timeout(960)


@pytest.mark.parametrize("root", states.roots())
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_aws_would_take_every_variant(
    rule: Rule, root: str, tested: Callable[[str], states.Tested]
) -> None:
    found = [
        f"{state.variant}: {finding}" for state in tested(root).states for finding in rule(state)
    ]
    assert found == []


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_iam_would_take_the_policy_that_a_user_copies(path: Path) -> None:
    text = path.read_text()
    for word, value in PLACES.items():
        text = text.replace(word, value)
    state = State(path.name, (Resource(path.name, "aws_iam_policy", {"policy": text}),))
    rules = (
        policies.unreadable_policies,
        policies.ungrammatical_policies,
        policies.unknown_actions,
        policies.mismatched_s3_resources,
        policies.oversized_policies,
        policies.characters_of_policies,
    )
    assert [finding for rule in rules for finding in rule(state)] == []
