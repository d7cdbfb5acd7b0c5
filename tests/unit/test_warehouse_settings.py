"""Settings that belong together are judged together, and told in one sentence."""

from __future__ import annotations

import pytest

from headrace_shared.settings import WarehouseSettings, load_settings

WHERE = {"HEADRACE_WAREHOUSE_DSN": "", "HEADRACE_WAREHOUSE_SECRET": ""}


def settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> WarehouseSettings:
    for name, value in {**WHERE, **environment}.items():
        monkeypatch.setenv(name, value)
    return load_settings(WarehouseSettings)


@pytest.mark.parametrize(
    "environment",
    [
        {"HEADRACE_WAREHOUSE_DSN": "postgresql://u@h/d"},
        {"HEADRACE_WAREHOUSE_SECRET": "prod/warehouse"},
        {"HEADRACE_WAREHOUSE_DSN": "host=h dbname=d", "HEADRACE_WAREHOUSE_SECRET": "s"},
    ],
)
def test_warehouse_is_found_by_dsn_or_secret_or_both(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    found = settings(monkeypatch, **environment)
    assert found.warehouse_dsn == environment.get("HEADRACE_WAREHOUSE_DSN", "")
    assert found.warehouse_secret == environment.get("HEADRACE_WAREHOUSE_SECRET", "")


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "HEADRACE_WAREHOUSE_DSN or HEADRACE_WAREHOUSE_SECRET is missing"),
        ({"HEADRACE_WAREHOUSE_DSN": "hunter2"}, "warehouse_dsn is neither"),
        (
            {"HEADRACE_WAREHOUSE_DSN": "hunter2", "HEADRACE_WAREHOUSE_SECRET": "s"},
            "warehouse_dsn is neither",
        ),
    ],
)
def test_warehouse_that_cannot_be_found_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings(monkeypatch, **environment)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith(f"Settings: {sentence}")
    assert told.count("\n") == 1
    assert "hunter2" not in told
