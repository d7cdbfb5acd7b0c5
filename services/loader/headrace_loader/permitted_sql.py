"""What a user's select may use: decided on the tree that Postgres's own parser made of it.

The tree names every relation, function and type by its OID, so no spelling, search path or alias
hides one. A tree with a part that this module does not know is refused. Decided here without I/O;
`docs/adr/0011-users-sql.md` says why it is done so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

_FIRST_OF_USERS: Final = 16_384
"""OIDs below are of what every Postgres has (FirstNormalObjectId).
https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT"""

# As outToken of src/backend/nodes/outfuncs.c writes names: with backslashes before what separates
# words, and before a name that begins like a number.
_WORD: Final = re.compile(r"(?:\\.|[^ \n\t(){}\\])+|[(){}]", re.DOTALL)
_NUMBER: Final = re.compile(r"-?\d+\Z")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FUNCTIONS: Final = frozenset(
    {"funcid", "opfuncid", "aggfnoid", "winfnoid", "startInRangeFunc", "endInRangeFunc"}
)
_TYPE: Final = re.compile(r"types?(id)?\Z", re.IGNORECASE)
_NOT_AN_OID: Final = re.compile(
    r"\w*typmods?\Z|constvalue\Z|\w*location\Z|stmt_len\Z|frameOptions\Z", re.IGNORECASE
)

_NODES: Final = frozenset(
    _names(
        """
    QUERY RANGETBLENTRY RANGETBLREF RANGETBLFUNCTION RTEPERMISSIONINFO FROMEXPR JOINEXPR
    TARGETENTRY ALIAS VAR CONST PARAM OPEXPR DISTINCTEXPR NULLIFEXPR SCALARARRAYOPEXPR BOOLEXPR
    SUBLINK CASEEXPR CASEWHEN CASETESTEXPR AGGREF WINDOWFUNC GROUPINGFUNC FUNCEXPR NAMEDARGEXPR
    RELABELTYPE COERCEVIAIO ARRAYCOERCEEXPR COLLATEEXPR ARRAYEXPR ROWEXPR ROWCOMPAREEXPR
    COALESCEEXPR MINMAXEXPR SQLVALUEFUNCTION NULLTEST BOOLEANTEST SORTGROUPCLAUSE GROUPINGSET
    WINDOWCLAUSE COMMONTABLEEXPR SETOPERATIONSTMT SUBSCRIPTINGREF FIELDSELECT JSONVALUEEXPR
    JSONFORMAT JSONRETURNING JSONCONSTRUCTOREXPR JSONISPREDICATE
    """
    )
)

_LAST_OF_TIME: Final = 8
"""SQLVALUEFUNCTION: up to LOCALTIMESTAMP(n) they are times, those after it are names of roles and
of the database (enum SQLValueFunctionOp)."""

NO_TYPES: Final = _names(
    """
    regproc regprocedure regoper regoperator regclass regtype regrole regnamespace regconfig
    regdictionary regcollation xml refcursor aclitem pg_snapshot txid_snapshot
    """
)
"""Types whose input or output looks into the catalogs or into documents."""

CALLABLE: Final = _names(
    """
    abs acos acosd asin asind atan atan2 atan2d atand bit_count cbrt ceil ceiling cos cosd cosh
    cot cotd degrees div exp factorial floor gcd lcm ln log log10 min_scale mod numeric pi pow
    power radians round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc
    width_bucket ascii bit_length btrim char_length character_length chr concat concat_ws
    convert_from convert_to crc32 crc32c decode encode format get_bit get_byte initcap
    is_normalized left length like like_escape lower lpad ltrim md5 normalize notlike
    octet_length overlay position quote_ident quote_literal quote_nullable regexp_count
    regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr replace reverse right rpad rtrim sha224 sha256 sha384
    sha512 similar_escape similar_to_escape split_part starts_with string_to_array
    string_to_table strpos substr substring text textlen to_ascii to_bin to_hex to_oct
    translate unicode_assigned unistr upper age date date_add date_bin date_part date_subtract
    date_trunc extract in_range isfinite justify_days justify_hours justify_interval make_date
    make_interval make_time make_timestamp make_timestamptz now overlaps statement_timestamp
    time timestamp timestamptz timezone to_char to_date to_number to_timestamp
    transaction_timestamp array_append array_cat array_dims array_length array_lower
    array_ndims array_position array_positions array_prepend array_remove array_replace
    array_reverse array_sort array_to_json array_to_string array_upper cardinality
    generate_subscripts isempty json_array_element json_array_element_text json_array_elements
    json_array_elements_text json_array_length json_build_array json_build_object json_each
    json_each_text json_extract_path json_extract_path_text json_object json_object_keys
    json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert
    jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
    jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax
    jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof lower_inc lower_inf
    num_nonnulls num_nulls range_merge row_to_json to_json to_jsonb trim_array unnest upper_inc
    upper_inf uuid_extract_timestamp uuid_extract_version
    """
)
"""Functions that compute from their arguments alone. What operators, casts and aggregates of
Postgres call is not listed. `repeat` and `generate_series` make much of nothing: not here."""


@dataclass(frozen=True, slots=True)
class Uses:
    """What a tree refers to, by OID.

    Args:
        objection: why it is refused whatever the catalogs say of the rest; None for no reason.
    """

    objection: str | None
    functions: frozenset[int]
    types: frozenset[int]


@dataclass(slots=True)
class _Seen:
    nodes: set[str] = field(default_factory=set)
    functions: set[int] = field(default_factory=set)
    types: set[int] = field(default_factory=set)
    relations: set[int] = field(default_factory=set)
    objects: set[int] = field(default_factory=set)
    recursive: bool = False
    names_a_role: bool = False


def uses(tree: str, rows: Collection[int]) -> Uses:
    """What a select uses.

    Args:
        tree: as Postgres keeps it for a view (`pg_rewrite.ev_action`).
        rows: the OIDs of the one relation that it may read, and of its row type.
    """
    seen = _seen(tree)
    return Uses(_objection(seen, rows), frozenset(seen.functions), frozenset(seen.types - {*rows}))


def _objection(seen: _Seen, rows: Collection[int]) -> str | None:
    if seen.relations - {0, *rows}:
        return "it reads something other than {{rows}}"
    if unknown := sorted(seen.nodes - _NODES):
        return f"it uses a part of SQL that no test may use ({', '.join(unknown)})"
    if seen.recursive:
        return "it has a recursive WITH, which no test may use"
    if seen.names_a_role:
        return "it asks for the role or the database, which no test may know"
    if seen.objects - {*rows}:
        return "it uses a function, an operator or a type that is not Postgres's own"
    return None


def _seen(tree: str) -> _Seen:
    seen = _Seen()
    for node, key, word in _words(tree):
        if not key:
            seen.nodes.add(node)
        elif key == "hasRecursive":
            seen.recursive |= word != "false"
        elif _NUMBER.match(word) and not _NOT_AN_OID.match(key):
            _count(seen, node, key, int(word))
    return seen


def _count(seen: _Seen, node: str, key: str, number: int) -> None:
    if number >= _FIRST_OF_USERS:
        seen.objects.add(number)
    if key in _FUNCTIONS:
        seen.functions.add(number)
    elif key == "relid":
        seen.relations.add(number)
    elif _TYPE.search(key):
        seen.types.add(number)
    elif node == "SQLVALUEFUNCTION" and key == "op":
        seen.names_a_role |= number > _LAST_OF_TIME


def _words(tree: str) -> Iterator[tuple[str, str, str]]:
    """Each node's name with an empty key, and each word with its node's name and its key."""
    nodes, key, opened = [""], "", False
    for word in _WORD.findall(tree):
        if opened:
            nodes.append(word)
            yield word, "", ""
        elif word.startswith(":"):
            key = word[1:]
        elif word == "}":
            nodes.pop()
        elif word not in "{()":
            yield nodes[-1], key, word
        opened = word == "{"
