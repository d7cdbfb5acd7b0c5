"""What the rules on AWS's API know, held against botocore's models; and one module from its text to
a finding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import given
from hypothesis import strategies as st

from tests.terraform import states
from tests.terraform.aws import prose
from tests.terraform.aws.api import Member, start
from tests.terraform.aws.attributes import refused_values
from tests.terraform.aws.java_patterns import compiled
from tests.terraform.aws.members import MEMBERS
from tests.terraform.aws.policies import unknown_actions
from tests.terraform.aws.tasks import fargate_sizes
from tests.terraform.terraform import Terraform, TerraformError

PLACES: Final = sorted(
    {place for api in MEMBERS.values() for place in (*api.operations, *api.members.values())}
)
ALLOWED: Final = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*"
)


@pytest.mark.parametrize("place", PLACES)
def test_member_that_an_attribute_sets_exists(place: str) -> None:
    # A value that is in no range: a member with a key finds its range, or raises.
    assert start(place).shape.type_name
    assert "#" not in place or list(start(place).faults(10**12))


def test_every_pattern_of_the_operations_can_be_read() -> None:
    patterns = {
        member.shape.metadata["pattern"]
        for place in PLACES
        for member in _members(start(place))
        if isinstance(member.shape, StringShape) and "pattern" in member.shape.metadata
    }
    assert len(patterns) > 40
    for pattern in patterns:
        compiled(pattern)


def test_every_sentence_that_is_read_is_in_some_documentation() -> None:
    texts = [
        prose.prose(member.shape)
        for place in (*PLACES, "ec2:CreateTags")
        for member in _members(start(place))
    ]
    for pattern in prose.SENTENCES:
        assert any(pattern.search(text) for text in texts), pattern.pattern


@given(st.text(ALLOWED, max_size=255))
def test_description_of_the_allowed_characters_is_taken(text: str) -> None:
    assert list(start("ec2:CreateSecurityGroup:Description").faults(text)) == []


@given(st.text(ALLOWED, max_size=100), st.characters(exclude_characters=ALLOWED))
def test_description_with_another_character_is_refused(text: str, other: str) -> None:
    [found] = start("ec2:CreateSecurityGroup:Description").faults(f"{text}{other}")
    assert "allowed are letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*" in found


@pytest.mark.parametrize(
    ("pattern", "right", "wrong"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Grüße 1", "a(b)"),
        (r"\p{Print}+", "a b", "\t"),
        (r"[\p{Alnum}-]+", "a-1", "a_1"),
        (r"^arn:", "arn:aws:x", "x"),
        (r"[a-z[0-9]+", "a[1", "A"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a😀", "\x01"),
    ],
)
def test_pattern_of_java_means_the_same(pattern: str, right: str, wrong: str) -> None:
    assert compiled(pattern).fullmatch(right)
    assert not compiled(pattern).fullmatch(wrong)


def test_sizes_of_fargate_are_those_of_its_table() -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html"""
    sizes = fargate_sizes()
    assert sizes[256] == (512, 1_024, 2_048)
    assert sizes[512] == (1_024, 2_048, 3_072, 4_096)
    assert sizes[1_024] == tuple(range(2_048, 8_193, 1_024))
    assert sizes[2_048] == tuple(range(4_096, 16_385, 1_024))
    assert sizes[4_096] == tuple(range(8_192, 30_721, 1_024))
    assert sizes[8_192] == tuple(range(16_384, 61_441, 4_096))
    assert sizes[16_384] == tuple(range(32_768, 122_881, 8_192))


MODULE: Final = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

variable "owner" {
  default = "API"
}

resource "aws_security_group" "tasks" {
  name        = "tasks"
  description = "The ${var.owner}'s tasks"
}

data "aws_iam_policy_document" "source" {
  count = 1

  statement {
    actions   = ["s3:GetNothing"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "whole" {
  source_policy_documents = data.aws_iam_policy_document.source[*].json
}

resource "aws_iam_role_policy" "task" {
  role   = "task"
  policy = data.aws_iam_policy_document.whole.json
}
"""
MOCKS: Final = 'mock_data "aws_iam_policy_document" {\n  defaults = { json = "{}" }\n}\n'
TEST: Final = """\
mock_provider "aws" {
  source = "./tests/mocks"
}

run "made" {
  assert {
    condition     = aws_security_group.tasks.name == "NAME"
    error_message = "Another name."
  }
}
"""


def _module(folder: Path, name: str, environment: Mapping[str, str]) -> Terraform:
    tests = folder / "source" / "tests"
    (tests / "mocks").mkdir(parents=True)
    (tests.parent / "main.tf").write_text(MODULE)
    (tests / "mocks" / "aws.tfmock.hcl").write_text(MOCKS)
    (tests / "made.tftest.hcl").write_text(TEST.replace("NAME", name))
    terraform = Terraform(folder, module=tests.parent, environment=environment)
    terraform.init()
    return terraform


@pytest.mark.timeout(600)
def test_fault_in_a_module_is_found_in_the_state_of_its_test(
    tmp_path: Path, terraform_environment: Mapping[str, str]
) -> None:
    [state] = states.tested(_module(tmp_path, "tasks", terraform_environment), tmp_path).states
    [description] = refused_values(state)
    assert "aws_security_group.tasks: description" in description
    [action] = unknown_actions(state)
    assert "aws_iam_role_policy.task: policy" in action
    assert "s3:GetNothing" in action


@pytest.mark.timeout(600)
def test_failure_of_a_module_names_its_run_and_reason(
    tmp_path: Path, terraform_environment: Mapping[str, str]
) -> None:
    with pytest.raises(TerraformError, match=r"made.*Another name"):
        states.tested(_module(tmp_path, "other", terraform_environment), tmp_path)


def test_runs_that_were_interrupted_are_no_pass(
    tmp_path: Path, terraform_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = {"status": "pass", "passed": 1, "failed": 0, "errored": 0, "skipped": 2}
    line = json.dumps({"type": "test_summary", "test_summary": summary})
    terraform = _module(tmp_path, "tasks", terraform_environment)
    monkeypatch.setattr(terraform, "test_lines", lambda: iter([line]))
    with pytest.raises(TerraformError, match="pass, 2 skipped"):
        states.tested(terraform, tmp_path)


def _members(member: Member, depth: int = 6) -> Iterator[Member]:
    yield member
    shape: Shape = member.shape
    if depth == 0:
        return
    if isinstance(shape, StructureShape):
        for name, inner in shape.members.items():
            yield from _members(Member(f"{member.name}.{name}", inner), depth - 1)
    elif isinstance(shape, ListShape):
        yield from _members(Member(member.name, shape.member), depth - 1)
    elif isinstance(shape, MapShape):
        yield from _members(Member(member.name, shape.value), depth - 1)
