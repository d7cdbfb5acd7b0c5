"""The loader's settings."""

from __future__ import annotations

from pydantic import Field

from headrace_loader.files import DEFAULT_FILE_LIMITS, FileLimits
from headrace_loader.lake_mark import LakeMark
from headrace_loader.testing_rows import DEFAULT_RULES, TestRules
from headrace_loader.unpacking import DEFAULT_LIMITS, UnpackLimits
from headrace_shared.settings import Databases, InboxSettings, LakeSettings, WarehouseSettings


class LoaderSettings(InboxSettings, WarehouseSettings, LakeSettings):
    """Read once at the start."""

    concurrency: int = Field(
        50,
        ge=1,
        le=500,
        description="Messages in hand: small appends among them are loaded together.",
    )
    loads: int = Field(
        4,
        ge=1,
        le=100,
        description="Loads at a time, and as many batches; each holds one warehouse connection.",
    )
    contract_wait_seconds: float = Field(
        900,
        ge=0,
        description="How long after its landing a drop waits for its table's contract.",
    )
    lock_timeout_seconds: float = Field(
        10,
        gt=0,
        description="How long a load waits for a lock before it steps back and tries again later.",
    )
    unpacked_bytes_limit: int = Field(
        DEFAULT_LIMITS.most_bytes,
        ge=1,
        description="What a packed file may unpack to, in bytes, before it is rejected.",
    )
    unpacked_ratio_limit: float = Field(
        DEFAULT_LIMITS.most_ratio,
        ge=1,
        description="Likewise for each packed byte; files below 64 MiB are not judged by it.",
    )
    line_bytes_limit: int = Field(
        DEFAULT_FILE_LIMITS.line_bytes,
        ge=1024,
        le=1_000_000_000,
        description="The longest line or record of a file, in bytes.",
    )
    bad_rows_limit: int = Field(
        DEFAULT_FILE_LIMITS.bad_rows,
        ge=1,
        le=1_000_000,
        description="So many bad rows of a file are found before the looking ends.",
    )
    quarantine_bucket: str = Field(
        description="The bucket in which bad rows are kept.", min_length=1
    )
    lake_moved_from: str = Field(
        "",
        description="The name that the lake had before, as a refused start reports it: the "
        "warehouse is then marked with the new one.",
    )
    infer_databases: Databases = Field(
        frozenset(),
        description="The db_names, separated by commas, or `*`, whose tables get a contract from "
        "their first CSV file if nobody has dropped one.",
    )
    tests_timeout_seconds: float = Field(
        DEFAULT_RULES.timeout_seconds,
        gt=0,
        le=3600,
        description="How long all tests of a drop may take together.",
    )
    sql_tests_off: Databases = Field(
        frozenset(),
        description="The db_names, separated by commas, or `*`, whose contracts may have no `sql` "
        "tests.",
    )
    lake_stall_seconds: float = Field(
        30,
        gt=0,
        description="How long a load that holds locks waits for bytes of the lake.",
    )

    @property
    def lake_mark(self) -> LakeMark:
        """The lake that the warehouse has to belong to."""
        return LakeMark(self.lake_name, self.lake_moved_from)

    @property
    def test_rules(self) -> TestRules:
        """How the tests of contracts are run."""
        return TestRules(self.tests_timeout_seconds, self.sql_tests_off)

    @property
    def file_limits(self) -> FileLimits:
        """How far a file is read."""
        unpacked = UnpackLimits(self.unpacked_bytes_limit, self.unpacked_ratio_limit)
        return FileLimits(unpacked, self.line_bytes_limit, self.bad_rows_limit)
