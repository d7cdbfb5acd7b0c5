"""The step that failed, derived from the reason: one stage for each reason code.

`transform`: a row or a file cannot be read. `test`: a test of the contract failed. `load`: the
table, the contract in force or the warehouse does not take the drop. `route`: its key is not good.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from headrace_shared.facts import Stage
from headrace_shared.reasons import Reason

_CODES: Final[Mapping[Stage, tuple[str, ...]]] = {
    Stage.ROUTE: (
        "action_unknown",
        "database_name_unsafe",
        "database_unknown",
        "file_type_unsupported",
        "key_malformed",
        "table_name_unsafe",
    ),
    Stage.TRANSFORM: (
        "bad_rows",
        "contract_invalid",
        "delimiter_mismatch",
        "encoding_invalid",
        "encoding_undecided",
        "end_marker",
        "file_damaged",
        "file_empty",
        "file_not_packed",
        "file_truncated",
        "file_type_mismatch",
        "header_mismatch",
        "header_unreadable",
        "json_malformed",
        "line_too_long",
        "no_good_rows",
        "partition_value",
        "records_missing",
        "too_many_bad_rows",
        "unpacks_to_too_much",
        "zip_encrypted",
        "zip_members",
    ),
    Stage.TEST: ("tests_failed", "tests_timed_out"),
    Stage.LOAD: (
        "contract_change_refused",
        "contract_inferred",
        "contract_missing",
        "corrects_a_correction",
        "internal_error",
        "object_missing",
        "operation_not_allowed",
        "primary_key_missing",
        "refused_by_table",
        "reuploaded",
        "revert_refused",
        "temporarily_unavailable",
        "warehouse_needs_attention",
    ),
}

STAGE_OF_CODE: Final[Mapping[str, Stage]] = MappingProxyType(
    {code: stage for stage, codes in _CODES.items() for code in codes}
)
"""Every reason code that Headrace writes."""


def stage_of(reason: Reason) -> Stage:
    """The step of the load that failed for this reason.

    The router does not ask: whatever fails there fails at `route`, an empty object or a bug too.
    A code of a newer version counts as `load`.
    """
    return STAGE_OF_CODE.get(reason.code, Stage.LOAD)
