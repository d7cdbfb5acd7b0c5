"""What a month of Headrace costs on AWS: prices times usage, for three volumes.

`python -m tools.terraform_cost` prints the tables of infra/terraform/COST.md, and with `--write`
puts them there; a test fails when the document is behind. What a drop takes was counted from the
code or measured (see the constants); what was assumed stands in the document.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tools.terraform_blocks import TERRAFORM, blocks
from tools.terraform_prices import PRICES, READ_ON

DOCUMENT: Final = TERRAFORM / "COST.md"
_BEGIN, _END = "<!-- cost: python -m tools.terraform_cost --write -->", "<!-- end of cost -->"

HOURS: Final = 730
DAYS: Final = 30.4
GB: Final = 1e9

FILE_BYTES: Final = 100_000
"""Assumed."""

MESSAGES: Final = 5
"""Of a loaded drop: its event to the router, Drop Routed to the loader, and Drop Routed, Load
Started, Load Succeeded to the logger. EventBridge's sends are requests to SQS like any other."""

FACTS: Final = 3
FACT_BYTES: Final = 1_300
"""Of an entry on the bus (docs/facts/examples are of this size)."""

LOG_BYTES: Final = 6_200
"""Measured: a small append on one machine made 11 lines in router, loader and logger, 5,912 bytes
with their metrics; CloudWatch counts 26 more for each line."""

WRITE_UNITS: Final = 15
"""One UpdateItem a fact writes the table and three indexes (whole items; `attention` until the drop
has ended): 4 units each for routed and loading (items below 1 KB), 7 for loaded."""

ITEM_BYTES: Final = 1_000
"""Measured: 893 with short names and no version id."""

COPIES: Final = 3
"""The table, and the two indexes that hold ended drops too."""

METRICS: Final = 40
"""Sets of dimensions in docs/metrics.md that a quiet stack fills."""

INSIGHTS: Final = 138
"""Container Insights, by names of metrics times sets of dimensions: a cluster, five task
definitions, five services. By heart; no page was found that lists them."""

ALARMS: Final = 39
"""Metrics in alarms, for a formula is charged by each of its metrics. Of ours 25: four of each of
three inboxes, five of bugs, four of the log, one each of undelivered events and differences, two of
drops that ended badly. Of the scaling 14: two alarms of each policy, of two metrics for the three
backlogs and of one for the API."""


@dataclass(frozen=True)
class Volume:
    """A stack that is used so much.

    Args:
        batch: messages that one receive or delete carries on average (10 at most).
        tasks: service -> tasks, where not the minimum.
        passes: verifications in the month.
        acus: mean of both instances together, where Aurora is made here.
    """

    drops_a_day: int
    batch: float
    tasks: dict[str, int]
    passes: float
    acus: float

    @property
    def drops(self) -> float:
        """In the month."""
        return self.drops_a_day * DAYS


VOLUMES: Final = (
    Volume(1_000, batch=1, tasks={}, passes=HOURS, acus=1),
    Volume(100_000, batch=2, tasks={}, passes=HOURS, acus=2),
    Volume(
        10_000_000, batch=8, tasks={"router": 3, "loader": 4, "logger": 8}, passes=DAYS, acus=12
    ),
)


@dataclass(frozen=True)
class Line:
    """An item of the bill. `optional`: not in the total, for it is not there by default."""

    item: str
    price: str
    usage: Callable[[Volume], float]
    how: str
    optional: bool = False

    def usd(self, volume: Volume) -> float:
        """Dollars of the month."""
        return self.usage(volume) * PRICES[self.price].usd


def sizes() -> dict[str, tuple[float, float, int]]:
    """Service -> vCPUs, GB and tasks of its minimum, as main.tf has them."""
    defaults = next(
        block.arguments()["service_defaults"]
        for block in blocks(TERRAFORM, "locals")
        if "service_defaults" in block.arguments()
    )
    row = re.compile(r"(\w+)\s+= \{ cpu_units = (\d+), memory_mib = (\d+), minimum_tasks = (\d+)")
    return {
        name: (int(cpu) / 1024, int(memory) / 1024, int(tasks))
        for name, cpu, memory, tasks in row.findall(defaults)
    }


def endpoints() -> int:
    """How many interface endpoints the network made here has."""
    network = blocks(TERRAFORM / "modules" / "network", "locals")[0].arguments()
    return network["interfaces"].count('"') // 2


def _fargate(part: int) -> Callable[[Volume], float]:
    return lambda volume: (
        HOURS
        * sum(size[part] * volume.tasks.get(service, size[2]) for service, size in sizes().items())
    )


def _sqs(volume: Volume) -> float:
    polls = sum(volume.tasks.get(name, 1) for name in ("router", "loader", "logger"))
    idle = polls * HOURS * 3600 / 20 if volume.batch == 1 else 0
    asked = volume.drops * MESSAGES * (1 + 2 / volume.batch) + idle
    return max(0, asked - 1e6)


def _reads(volume: Volume) -> float:
    """Each pass asks for every item, consistently, and scans the log once, which need not be."""
    return volume.passes * volume.drops * (1 + ITEM_BYTES / 8_000)


def _wired(volume: Volume) -> float:
    return volume.drops * (LOG_BYTES + (MESSAGES + FACTS) * FACT_BYTES) / GB


LINES: Final = (
    Line("Fargate, vCPUs", "vcpu", _fargate(0), "vCPUs of all tasks x 730 h"),
    Line("Fargate, memory", "memory", _fargate(1), "GB of all tasks x 730 h"),
    Line(
        "Fargate, the loaders' storage",
        "scratch",
        lambda v: 30 * HOURS * v.tasks.get("loader", 1),
        "50 GiB less the 20 that are free, x 730 h",
    ),
    Line(
        "Interface endpoints",
        "endpoint",
        lambda _: endpoints() * 2 * HOURS,
        f"{endpoints()} endpoints x 2 zones x 730 h; none in a VPC of yours that has them",
    ),
    Line("... what goes through them", "endpoint_gb", _wired, "log lines, messages, facts"),
    Line("Load balancer", "alb", lambda _: HOURS, "730 h; its capacity units are left out"),
    Line(
        "SQS",
        "sqs",
        _sqs,
        "5 messages a drop, each sent, received and deleted, by batches of 1, 2 and 8; in the "
        "first column 3 long polls each 20 s too; less the free million",
    ),
    Line(
        "EventBridge",
        "event",
        lambda v: v.drops * (FACTS + 1),
        "3 events of ours a drop, and S3's, an opt-in data event, which is not free",
    ),
    Line(
        "... archive", "archive", lambda v: v.drops * FACTS * FACT_BYTES / GB, "3 x 1.3 KB a drop"
    ),
    Line("DynamoDB, writes", "write", lambda v: v.drops * WRITE_UNITS, "15 write units a drop"),
    Line(
        "DynamoDB, kept",
        "table",
        lambda v: v.drops * ITEM_BYTES * COPIES / GB,
        "1 KB a drop, in the table and two indexes, a month of drops",
    ),
    Line(
        "Verifier: reading the log",
        "read",
        _reads,
        "each pass: a read unit a drop, and a scan; hourly, in the last column daily",
    ),
    Line(
        "Verifier: listing the lake",
        "put",
        lambda v: v.passes * v.drops / 1000,
        "each pass: a LIST for 1,000 drops of the month",
    ),
    Line("S3, your uploads", "put", lambda v: v.drops, "one PUT a drop"),
    Line("S3, the loader's reads", "get", lambda v: v.drops, "one GET a drop"),
    Line("S3, kept", "s3", lambda v: v.drops * FILE_BYTES / GB, "100 KB a drop, a month of drops"),
    Line("CloudWatch Logs", "logs", lambda v: v.drops * LOG_BYTES / GB, "6.2 KB a drop"),
    Line("CloudWatch, our metrics", "metric", lambda _: METRICS, "40 sets of dimensions"),
    Line("CloudWatch, Container Insights", "metric", lambda _: INSIGHTS, "138 metrics, estimated"),
    Line(
        "CloudWatch, alarms",
        "alarm",
        lambda _: ALARMS,
        "metrics in alarms: 25 of ours, 14 of the scaling",
    ),
    Line("Secrets Manager", "secret", lambda _: 2, "2 secrets; Aurora has a third"),
    Line(
        "Aurora, capacity",
        "acu",
        lambda v: v.acus * HOURS,
        "1, 2 and 12 ACUs on average, both instances together: assumed",
        optional=True,
    ),
    Line(
        "Aurora, kept",
        "aurora_gb",
        lambda v: v.drops * FILE_BYTES * 2 / GB,
        "twice the files, a month of drops; its I/O is left out",
        optional=True,
    ),
    Line(
        "A NAT gateway",
        "nat",
        lambda _: HOURS,
        "one, 730 h; what goes through it is left out",
        optional=True,
    ),
    Line("A KMS key of your own", "key", lambda _: 1, "its requests are left out", optional=True),
)


def tables() -> str:
    """The bill, and the prices that it is made of."""
    needed = [line for line in LINES if not line.optional]
    asked = [line for line in LINES if line.optional]
    total = [sum(line.usd(volume) for line in needed) for volume in VOLUMES]
    each = [usd / volume.drops * 1000 for usd, volume in zip(total, VOLUMES, strict=True)]
    heads = " | ".join(f"{volume.drops_a_day:,} drops a day" for volume in VOLUMES)
    rows = [
        f"| a month, in US dollars | {heads} | how it is counted |",
        "|---|---:|---:|---:|---|",
        *(_row(line.item, _dollars(line), line.how) for line in needed),
        _row("**together**", [f"**{usd:,.0f}**" for usd in total], ""),
        _row("for 1,000 drops", [f"{usd:,.3f}" for usd in each], ""),
        *(_row(f"{line.item} (if asked for)", _dollars(line), line.how) for line in asked),
    ]
    return "\n".join([*rows, "", *_prices()])


def with_tables(text: str) -> str:
    """The document with its tables brought up to date."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{tables()}\n{_END}{after}"


def _dollars(line: Line) -> list[str]:
    found = [line.usd(volume) for volume in VOLUMES]
    return [f"{usd:,.0f}" if usd >= 10 else f"{usd:,.2f}" for usd in found]


def _row(item: str, dollars: list[str], how: str) -> str:
    return f"| {item} | {' | '.join(dollars)} | {how} |"


def _prices() -> list[str]:
    rows = [
        f"| {price.unit} | {_figure(price.usd)} | [AWS]({price.aws}) | {_read(price.read_at)} |"
        for price in PRICES.values()
    ]
    return [
        f"| unit, us-east-1, on demand | US dollars | today's price | read on {READ_ON} |",
        "|---|---:|---|---|",
        *rows,
    ]


def _figure(usd: float) -> str:
    return f"{usd * 1e6:g} a million" if usd < 1e-4 else f"{usd:g}"


def _read(page: str | None) -> str:
    return f"[here]({page})" if page else "not found on a page: by heart"


def main() -> None:
    """Prints the tables, or writes them."""
    if "--write" in sys.argv[1:]:
        DOCUMENT.write_text(with_tables(DOCUMENT.read_text()))
    else:
        print(tables())


if __name__ == "__main__":
    main()
