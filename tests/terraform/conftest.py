"""Terraform and its provider, found on this machine; without Terraform these tests are skipped, and
fail where CI is set."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from tests.real_parts import give_up
from tests.terraform import providers, states
from tests.terraform.terraform import Terraform


@pytest.fixture(scope="session")
def terraform_environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """For `Terraform(environment=...)`: where the provider comes from."""
    _need_terraform()
    return providers.environment(tmp_path_factory.mktemp("terraform-cli"), providers.usual_places())


@pytest.fixture(scope="session")
def initialised(
    tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str]
) -> Terraform:
    """The root module, ready; nothing is ever applied from it."""
    work = tmp_path_factory.mktemp("terraform")
    terraform = Terraform(work, environment=terraform_environment)
    terraform.init()
    return terraform


@pytest.fixture(scope="session")
def root_module(
    tmp_path_factory: pytest.TempPathFactory, terraform_environment: Mapping[str, str]
) -> Callable[[str], Terraform]:
    """A root module below infra/terraform by its path, ready; nothing is ever applied from it."""

    @cache
    def made(root: str) -> Terraform:
        work = tmp_path_factory.mktemp("root-module")
        terraform = Terraform(work, root=root, environment=terraform_environment)
        terraform.init()
        return terraform

    return made


@pytest.fixture(scope="session")
def tested(
    tmp_path_factory: pytest.TempPathFactory, root_module: Callable[[str], Terraform]
) -> Callable[[str], states.Tested]:
    """What the tests of a root module end with; they are run once for all test processes."""
    kept = tmp_path_factory.getbasetemp().parent / "terraform-states"
    kept.mkdir(exist_ok=True)

    @cache
    def made(root: str) -> states.Tested:
        return states.tested(root_module(root), kept)

    return made


def _need_terraform() -> None:
    if shutil.which("terraform") is None:
        give_up("Terraform (1.11 or later) is not on the PATH: infra/terraform is not tested.")
