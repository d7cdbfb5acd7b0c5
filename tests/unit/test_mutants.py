"""`make mutants`: what it changes, which tests it runs on that, and what it counts."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tools.house import ROOT
from tools.mutants.equivalents import Equivalent, is_equivalent, outdated, read_equivalents
from tools.mutants.measuring import TESTS
from tools.mutants.reached import Reached, chosen
from tools.mutants.report import line, table, verdict
from tools.mutants.sample import CORE, Mutant, modules, mutants_of, sample
from tools.mutants.trying import Fate, Tried

MODULE = "shared/m.py"


def changes(text: str) -> set[str]:
    """The lines that mutations make of a module."""
    return {one.after for one in mutants_of(MODULE, textwrap.dedent(text).encode())}


def a_mutant(text: str, after: str) -> Mutant:
    [found] = [one for one in mutants_of(MODULE, text.encode()) if one.after == after]
    return found


@pytest.mark.parametrize(
    ("code", "after"),
    [
        ("x = a < b", {"x = a <= b", "x = a > b"}),
        ("x = (a) >= (b)", {"x = (a) > (b)", "x = (a) <= (b)"}),
        ("x = a == b != c", {"x = a != b != c", "x = a == b == c"}),
        ("x = a is b", {"x = a is not b"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = a in b", {"x = a not in b"}),
        ("x = a not in b", {"x = a in b"}),
        ("x = a and b", {"x = a or b", "x = True and b", "x = a and True"}),
        ("x = a or b", {"x = a and b", "x = False or b", "x = a or False"}),
        ("x = not a", {"x = (a)"}),
        ("x = a + b", {"x = a - b"}),
        ("x = a // b", {"x = a * b"}),
        ("x = a << b | c", {"x = a >> b | c", "x = a << b & c"}),
        ("x = 7", {"x = 8"}),
        ("x = True", {"x = False"}),
        ("x = min(a)", {"x = max(a)"}),
        ("x = any(a)", {"x = all(a)"}),
        ("x = a if b else c", {"x = a if not (b) else c"}),
        ("x = [a for a in b if c]", {"x = [a for a in b if not (c)]"}),
        ("if a: b = c", {"if not (a): b = c"}),
        ("while a: b = c", {"while not (a): b = c"}),
        ("def f(): return a", {"def f(): return None"}),
        ("f(a)", {"pass"}),
        ("raise a", {"pass"}),
        ("for a in b: break", {"for a in b: pass"}),
        ("a += b", {"pass"}),
        ("del a", {"pass"}),
    ],
)
def test_code_is_changed_in_one_place(code: str, after: set[str]) -> None:
    assert changes(code) == after


@pytest.mark.parametrize(
    "code",
    [
        '"""More than 1 < 2."""',
        "assert a < 1",
        "x: Literal[1] = a",
        "def f(a: b | c) -> d | e: x = a",
        "@dataclass(frozen=True)\nclass A: x = a",
        'x = f"{a + 1} rows"',
        "if TYPE_CHECKING: import a",
        "_log.info('a', rows=1)",
        "x = 'and or not 1 < 2'",
        "return_ = None",
    ],
)
def test_what_no_test_has_to_see_is_left_alone(code: str) -> None:
    assert changes(code) == set()


@pytest.mark.parametrize(
    ("statement", "after"),
    [
        ("a and b", {"a or b"}),
        ("a or b", {"a and b"}),
        ("not exists (b)", {"exists (b)"}),
        ("exists (b)", {"not exists (b)"}),
        ("a is null", {"a is not null"}),
        ("a is not null", {"a is null"}),
        ("a is distinct from b", {"a is not distinct from b"}),
        ("a < b", {"a <= b", "a > b"}),
        ("a >= b", {"a > b"}),
        ("a <> b", {"a = b"}),
        ("a = b", {"a <> b"}),
        ("a not in (b)", {"a in (b)"}),
        ("a = min(b)", {"a <> min(b)", "a = max(b)"}),
        ("a order by b desc", {"a order by b"}),
        ("a limit 1", {"a limit 2"}),
        ("a for update", {"a"}),
        ("true", {"false"}),
    ],
)
def test_sql_is_changed_in_one_place(statement: str, after: set[str]) -> None:
    found = changes(f'x = "select y from z where {statement}"')
    assert found == {f'x = "select y from z where {one}"' for one in after}


def test_sql_in_many_lines_loses_a_condition() -> None:
    text = 'X = """\n    select a from b\n    where c\n      and d\n      or (e\n      and f)\n"""'
    found = [one for one in mutants_of(MODULE, text.encode()) if one.after == ""]
    assert [one.before for one in found] == ["and d"]


@pytest.mark.parametrize(
    "code",
    [
        'x = "select a -- and not b < 1"',
        "x = \"select 'a and b < 1'\"",
        'x = "select %(order_and_1)s"',
        'x = "select a::text[]"',
        'x = sql.SQL("{a < b}")',
        'x = "select $1"',
    ],
)
def test_placeholders_comments_and_texts_of_sql_are_left_alone(code: str) -> None:
    assert changes(code) == set()


def test_fragments_that_sql_is_composed_of_are_changed() -> None:
    assert changes('x = sql.SQL("{} < {}")') == {
        'x = sql.SQL("{} <= {}")',
        'x = sql.SQL("{} > {}")',
    }
    assert 'await c.execute("a or b")' in changes('await c.execute("a and b")')
    fragment = 'x = f"delete from t where {{a}} {} b"'
    assert changes(fragment.format("and")) == {fragment.format("or")}


def test_core_modules_are_there_and_can_be_named() -> None:
    found = modules(ROOT, ())
    assert all(modules(ROOT, [pattern.rpartition("/")[2].strip("*")]) for pattern in CORE)
    assert modules(ROOT, ["inbox.py"]) == ["shared/headrace_shared/inbox.py"]
    assert {"services/loader/headrace_loader/migrations.py"} <= {*found}
    assert not [one for one in found if one.endswith("__main__.py")]
    with pytest.raises(ValueError, match="'inbux' is in the path of no core module"):
        modules(ROOT, ["inbux"])


def test_sql_functions_of_the_migrations_are_changed() -> None:
    path = "services/loader/headrace_loader/migrations.py"
    found = mutants_of(path, (ROOT / path).read_bytes())
    assert [one for one in found if one.mutation.operator == "SQL"]


def test_sample_is_bounded_repeatable_and_shared_out() -> None:
    texts = {f"{name}.py": b"x = a < b and c < d or e\n" * 9 for name in "abc"} | {"d.py": b"x = 1"}
    drawn = sample(texts, 10, seed=1)
    assert len(drawn) == 10
    assert drawn == sample(texts, 10, seed=1)
    assert drawn != sample(texts, 10, seed=2)
    assert {one.module for one in drawn} == set(texts)
    assert len([one for one in drawn if one.module == "d.py"]) == 1
    assert len({(one.module, one.mutation) for one in drawn}) == 10
    assert sample({"d.py": b"x = 1"}, 10, seed=1) != []


USED = (
    "LIMIT = 1\nMORE = LIMIT\n\n\ndef f(a=2):\n    if a:\n        return a + 1\n    return MORE\n"
)
SEEN_BY = Reached(
    lines={
        MODULE: {
            6: frozenset({"tests/unit/test_a.py::a", "tests/integration/test_b.py::b", "failing"}),
            7: frozenset({"tests/integration/test_b.py::b"}),
            8: frozenset({"tests/unit/test_a.py::a"}),
        },
        "shared/user.py": {2: frozenset({"tests/integration/test_c.py::c"})},
    },
    seconds={
        "tests/unit/test_a.py::a": 0.1,
        "tests/integration/test_b.py::b": 2.0,
        "tests/integration/test_c.py::c": 1.0,
    },
)


@pytest.mark.parametrize(
    ("after", "unit", "others"),
    [
        ("return a - 1", (), ("tests/integration/test_b.py::b",)),
        ("if not (a):", ("tests/unit/test_a.py::a",), ("tests/integration/test_b.py::b",)),
        ("def f(a=3):", ("tests/unit/test_a.py::a",), ("tests/integration/test_b.py::b",)),
        ("return None", ("tests/unit/test_a.py::a",), ()),
    ],
)
def test_tests_that_execute_the_line_are_chosen(
    after: str, unit: tuple[str, ...], others: tuple[str, ...]
) -> None:
    found = [one for one in mutants_of(MODULE, USED.encode()) if one.after == after][-1]
    choice = chosen(found, {MODULE: USED.encode()}, SEEN_BY, 60)
    assert (tuple(choice.unit), tuple(choice.others)) == (unit, others)


def test_tests_of_what_uses_a_constant_are_chosen() -> None:
    texts = {MODULE: USED.encode(), "shared/user.py": b"def g():\n    return m.LIMIT\n"}
    choice = chosen(a_mutant(USED, "LIMIT = 2"), texts, SEEN_BY, 60)
    assert {*choice.unit, *choice.others} == {*SEEN_BY.seconds}


def test_longer_tests_are_left_out_where_the_time_is_over() -> None:
    many = {f"tests/integration/test_{file}.py::{n}": n + 1.0 for file in "ab" for n in range(3)}
    seen = Reached({MODULE: {1: frozenset(many)}}, many)
    text = b"def f(): return a + b\n"
    [found] = [one for one in mutants_of(MODULE, text) if "a - b" in one.after]
    choice = chosen(found, {MODULE: text}, seen, 4)
    assert choice.others == [
        "tests/integration/test_a.py::0",
        "tests/integration/test_b.py::0",
        "tests/integration/test_a.py::1",
    ]
    assert choice.others_left_out == 3


def test_listed_equivalents_are_mutants_of_the_code_and_have_a_reason() -> None:
    texts = {one: (ROOT / one).read_bytes() for one in modules(ROOT, ())}
    assert outdated(read_equivalents(), texts) == []


def test_entry_that_is_of_no_mutant_any_more_is_found() -> None:
    entry = Equivalent(MODULE, "x = 1", "x = 2", "x is never read")
    [mutant] = mutants_of(MODULE, b"x = 1\n")
    assert is_equivalent(mutant, [entry])
    assert outdated([entry], {MODULE: b"x = 1\n"}) == []
    for listed, text, fault in [
        (entry, b"x = 3\n", "no mutant of the module is this one"),
        (Equivalent(MODULE, "x = 1", "x = 2", " "), b"x = 1\n", "the reason is missing"),
        (Equivalent("gone.py", "x = 1", "x = 2", "it is gone"), b"x = 1\n", "no mutant"),
    ]:
        assert [fault in one for one in outdated([listed], {MODULE: text})] == [True]


def tried(*fates: Fate) -> list[Tried]:
    [mutant] = mutants_of(MODULE, b"x = 1\n")
    return [Tried(mutant, fate) for fate in fates]


@pytest.mark.parametrize(
    ("fates", "share", "is_enough"),
    [
        ([Fate.UNIT] * 19 + [Fate.SURVIVED], "95.0%", True),
        ([Fate.OTHERS] * 18 + [Fate.SURVIVED], "94.7%", False),
        ([Fate.TIME] * 18 + [Fate.UNREACHED], "94.7%", False),
        ([Fate.UNIT, Fate.EQUIVALENT, Fate.UNCLEAR], "100.0%", True),
    ],
)
def test_share_is_that_of_the_mutants_that_can_be_seen(
    fates: list[Fate], share: str, is_enough: bool
) -> None:
    text, found = verdict(tried(*fates))
    assert found is is_enough
    assert text.startswith(f"{share} of ")
    assert table(tried(*fates)).endswith(f" {share} |")


def test_run_without_mutants_is_no_success() -> None:
    assert verdict(tried(Fate.EQUIVALENT)) == ("No mutant was tried.", False)


def test_survivor_is_shown_with_its_change() -> None:
    assert line(3, tried(Fate.SURVIVED)[0]).splitlines() == [
        f"   3 survived: {MODULE}:1",
        "     - x = 1",
        "     + x = 2",
    ]


def test_tests_that_are_measured_are_there() -> None:
    assert all(Path(ROOT, one).is_dir() for one in TESTS)
