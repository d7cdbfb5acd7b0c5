"""Writes the table of metrics into docs/metrics.md, from the rules that render them.

`python -m tools.metrics_table` writes; a test fails when the page is behind the rules.
"""

from __future__ import annotations

from typing import Final

from headrace_shared.metrics import TABLE, Metric, Rule
from tools.settings_tables import ROOT

PAGE: Final = ROOT / "docs" / "metrics.md"

_BEGIN, _END = "<!-- metrics: python -m tools.metrics_table -->", "<!-- end of metrics -->"


def table() -> str:
    """The metrics by name; what several lines tell stands once."""
    rows: dict[str, list[tuple[Rule, Metric]]] = {}
    for rule in TABLE:
        for metric in rule.metrics:
            rows.setdefault(metric.name, []).append((rule, metric))
    lines = ["| metric | unit | dimensions | told by | meaning |", "|---|---|---|---|---|"]
    for name, told in rows.items():
        rule, metric = told[0]
        dimensions = ", ".join(f"`{one}`" for one in rule.dimensions)
        events = ", ".join(f"`{one.event}`" for one, _ in told)
        lines.append(f"| `{name}` | {metric.unit} | {dimensions} | {events} | {metric.meaning} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The page's text with its table brought up to date."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n{table()}\n{end}{after}"


def main() -> None:
    """Brings the page up to date."""
    PAGE.write_text(with_table(PAGE.read_text()))


if __name__ == "__main__":
    main()
