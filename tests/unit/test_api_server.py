"""How the API's process serves."""

from __future__ import annotations

from headrace_api.__main__ import server_config
from headrace_api.app import make_app
from headrace_api.settings import ApiSettings

LOAD_BALANCER_IDLE_SECONDS = 60
"""An Application Load Balancer's default."""


def test_idle_connections_outlive_those_of_the_load_balancer() -> None:
    settings = ApiSettings(
        log_table="log",
        warehouse_dsn="dbname=nowhere",
        cursor_secret="a secret of the tests",
        anonymous=True,
    )
    config = server_config(make_app(settings), settings)
    assert config.timeout_keep_alive > LOAD_BALANCER_IDLE_SECONDS
