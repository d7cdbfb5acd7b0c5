"""The images, built once, and the platform of compose.yaml with the embedded Postgres."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers.composed import Composed, composed
from tests.containers.engine import built_images, need_engine, remove_leftovers


@pytest.fixture(scope="session")
def tag() -> Iterator[str]:
    """Every image's, once they are there."""
    need_engine()
    remove_leftovers()
    yield built_images()
    remove_leftovers()


@pytest.fixture(scope="module")
def platform(tag: str) -> Iterator[Composed]:
    """The emulator, provisioned, and Postgres; services are started by the tests."""
    with composed(tag) as made:
        yield made
