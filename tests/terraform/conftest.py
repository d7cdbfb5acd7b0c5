"""Terraform and its provider, found on this machine; without Terraform these tests are skipped, and
fail where CI is set."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import pytest

from tests.real_parts import give_up
from tests.terraform import providers
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


def _need_terraform() -> None:
    if shutil.which("terraform") is None:
        give_up("Terraform (1.11 or later) is not on the PATH: infra/terraform is not tested.")
