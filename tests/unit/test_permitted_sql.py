"""What a user's select may use, decided on trees as Postgres writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_loader.permitted_sql import uses

STAGED = (20_001, 20_003)

TREE = (
    "({QUERY :commandType 1 :hasRecursive false :rtable ({RANGETBLENTRY :eref {ALIAS :aliasname "
    'staged :colnames ("id" "line\\ number")} :rtekind 0 :relid 20001 :perminfoindex 1}) '
    ":targetList ({TARGETENTRY :expr {FUNCEXPR :funcid 870 :funcresulttype 25 :args ({CONST "
    ":consttype 25 :consttypmod 589830 :constvalue 20004 [ 20 0 0 0 98 ]})} :resname %s "
    ":resorigtbl 20001})})"
)


def test_select_of_the_rows_is_permitted_and_its_functions_are_named() -> None:
    used = uses(TREE % "x", STAGED)
    assert used.objection is None
    assert used.functions == {870}
    assert 25 in used.types


def test_another_relation_is_refused() -> None:
    used = uses(TREE.replace(":relid 20001", ":relid 1259") % "x", STAGED)
    assert used.objection == "it reads something other than {{rows}}"


def test_unknown_part_is_refused() -> None:
    used = uses(TREE.replace("{FUNCEXPR", "{CURRENTOFEXPR") % "x", STAGED)
    assert used.objection is not None
    assert "CURRENTOFEXPR" in used.objection


def test_recursion_is_refused() -> None:
    used = uses(TREE.replace("hasRecursive false", "hasRecursive true") % "x", STAGED)
    assert used.objection is not None
    assert "recursive" in used.objection


def test_what_users_made_is_refused_wherever_it_is_named() -> None:
    for there in (
        ":funcid 20010",
        ":funcid 870 :someFutureField 20010",
        ":funcid 870 :args (o 20010)",
    ):
        used = uses(TREE.replace(":funcid 870", there) % "x", STAGED)
        assert used.objection is not None, there
        assert "not Postgres's own" in used.objection


def test_roles_and_databases_are_refused_and_times_are_not() -> None:
    for op, refused in ((0, False), (8, False), (9, True), (14, True)):
        value = TREE.replace("{FUNCEXPR :funcid 870", f"{{SQLVALUEFUNCTION :op {op} :type 25")
        assert (uses(value % "x", STAGED).objection is not None) == refused, op


def written(name: str) -> str:
    """As outToken of Postgres's src/backend/nodes/outfuncs.c writes a name."""
    if name[:1] in '<"' or name[:1].isdigit() or (name[:1] in "+-" and name[1:2] in "0123456789."):
        name = "\\" + name
    head, tail = (name[:2], name[2:]) if name.startswith("\\") else ("", name)
    return head + "".join(f"\\{c}" if c in " \n\t(){}\\" else c for c in tail)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_no_name_changes_what_is_seen(name: str) -> None:
    if name.startswith("\\"):
        return
    plain = uses(TREE % "x", STAGED)
    assert uses(TREE % written(name), STAGED) == plain


@pytest.mark.parametrize(
    "name",
    ["} :funcid 20010", "{FUNCEXPR :funcid 20010}", ":relid 1259", "99999", "} } }", "<>", '"x'],
)
def test_names_that_look_like_parts_are_names(name: str) -> None:
    assert uses(TREE % written(name), STAGED) == uses(TREE % "x", STAGED)
