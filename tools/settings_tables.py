"""Writes the table of settings into each service's README, from the models that read them.

`python -m tools.settings_tables` writes; a test fails when a README is behind its model.
"""

from __future__ import annotations

from pathlib import Path

from headrace_api.settings import ApiSettings
from headrace_loader.settings import LoaderSettings
from headrace_logger.settings import LoggerSettings
from headrace_router.settings import RouterSettings
from headrace_shared.settings import ServiceSettings, variable
from headrace_verifier.settings import VerifierSettings

ROOT = Path(__file__).resolve().parent.parent
MODELS: dict[str, type[ServiceSettings]] = {
    "router": RouterSettings,
    "loader": LoaderSettings,
    "logger": LoggerSettings,
    "api": ApiSettings,
    "verifier": VerifierSettings,
}

_BEGIN, _END = "<!-- settings: python -m tools.settings_tables -->", "<!-- end of settings -->"


def readme(service: str) -> Path:
    """Where a service's table stands."""
    return ROOT / "services" / service / "README.md"


def table(model: type[ServiceSettings]) -> str:
    """The settings of a model, the needed ones first."""
    fields = sorted(model.model_fields.items(), key=lambda one: (not one[1].is_required(), one[0]))
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in fields:
        default = "needed" if field.is_required() else f"`{field.default}`"
        default = "none" if default in ("`None`", "`frozenset()`", "``") else default
        read = variable(str(field.validation_alias or name))
        lines.append(f"| `{read}` | {default} | {field.description} |")
    return "\n".join(lines)


def with_table(text: str, model: type[ServiceSettings]) -> str:
    """A README's text with its table brought up to date.

    Raises:
        ValueError: the text has no place for the table.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"no lines {_BEGIN} and {_END}")
    return f"{before}{begin}\n{table(model)}\n{end}{after}"


def main() -> None:
    """Brings every README up to date."""
    for service, model in MODELS.items():
        path = readme(service)
        path.write_text(with_table(path.read_text(), model))


if __name__ == "__main__":
    main()
