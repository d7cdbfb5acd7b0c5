"""The rules of the house hold here, and each of them sees a violation that is planted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.fixed_ports import fixed_ports
from tools.house import ROOT, RULES
from tools.imports import forbidden_imports, unlocked_imports
from tools.layout import (
    BUILD_LOCK,
    DEV_LOCK,
    EMULATOR_LOCK,
    POLICY_LOCK,
    distributions,
    source_files,
)
from tools.locks import drifted, read_lock, stale, unhashed
from tools.terraform_tables import stale_tables
from tools.texts import folders_without_readme, traces_of_one_machine

HASH = "    --hash=sha256:" + 64 * "0"
PYDANTIC = f"pydantic==2.14.3 \\\n{HASH}\n    # via headrace-shared\n"
PSYCOPG = f"psycopg==3.3.9 \\\n{HASH}\npsycopg-pool==3.3.3 ; sys_platform != 'none' \\\n{HASH}\n"
HATCHLING = f"hatchling==1.33.0 \\\n{HASH}\n"
CHECKOV = f"checkov==3.3.30 \\\n{HASH}\nboto3==1.35.49 \\\n{HASH}\n"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds_in_this_repository(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def test_rules_look_at_every_package_and_file() -> None:
    assert all(any(ours.modules()) for ours in distributions(ROOT))
    seen = {str(path.relative_to(ROOT)) for path in source_files(ROOT)}
    assert seen >= {"Makefile", ".ci/run", DEV_LOCK, "tests/unit/test_house.py"}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house in which every rule holds."""
    declared = {
        "shared": '"pydantic>=2.14"',
        "services/router": '"headrace-shared"',
        "services/loader": '"headrace-shared", "psycopg[pool]>=3.3.5"',
        "services/logger": '"headrace-shared"',
        "services/api": '"headrace-shared"',
        "services/verifier": '"headrace-shared"',
        "local": '"headrace-shared"',
    }
    for folder, dependencies in declared.items():
        write(tmp_path / folder / "pyproject.toml", f"[project]\ndependencies = [{dependencies}]\n")
        write(tmp_path / folder / "README.md", "# For the reader\n")
    groups = (
        'build = ["hatchling>=1"]\nemulator = ["pydantic"]\ndev = [{ include-group = "build" }]\n'
        'policy = ["checkov>=3.3"]\n'
    )
    write(tmp_path / "pyproject.toml", f"[dependency-groups]\n{groups}")
    write(tmp_path / DEV_LOCK, PYDANTIC + PSYCOPG + HATCHLING)
    write(tmp_path / BUILD_LOCK, HATCHLING)
    write(tmp_path / EMULATOR_LOCK, PYDANTIC)
    write(tmp_path / POLICY_LOCK, CHECKOV)
    for ours in distributions(tmp_path):
        write(
            ours.folder / ours.package / "__init__.py", "import json\nfrom pydantic import Field\n"
        )
        if ours.is_service:
            write(ours.lock, PYDANTIC + (PSYCOPG if ours.package == "headrace_loader" else ""))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_house_without_violations_passes_every_rule(house: Path) -> None:
    write(
        house / "services/loader/headrace_loader/postgres.py",
        "from psycopg_pool import AsyncConnectionPool",
    )
    write(
        house / "services/api/headrace_api/app.py", "import headrace_shared.drop, headrace_api.log"
    )
    assert {rule.__name__: rule(house) for rule in RULES if rule(house)} == {}


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("services/router/headrace_router", "import headrace_loader.planning"),
        ("services/router/headrace_router", "def late():\n    from headrace_api import app"),
        ("services/api/headrace_api/deeper", "if TYPE_CHECKING:\n    import headrace_logger"),
        ("services/logger/headrace_logger", "from headrace_local import resources"),
        ("shared/headrace_shared/testing", "from headrace_router.routing import route"),
        ("local/headrace_local", "from headrace_loader import handler"),
    ],
)
def test_import_of_another_service_is_found(house: Path, folder: str, code: str) -> None:
    write(house / folder / "planted.py", code)
    [violation] = forbidden_imports(house)
    assert violation.startswith(f"{folder}/planted.py:")


@pytest.mark.parametrize(
    "code",
    ["import psycopg", "import psycopg_pool", "try:\n    from boto3 import client\nfinally: 1"],
)
def test_client_that_the_lock_does_not_hold_is_found(house: Path, code: str) -> None:
    write(house / "services/router/headrace_router/planted.py", code)
    [violation] = unlocked_imports(house)
    assert violation.endswith("is not in requirements.lock")


def test_import_that_only_another_package_brings_is_found(house: Path) -> None:
    lock = house / "services/router/requirements.lock"
    lock.write_text(lock.read_text() + PSYCOPG)
    write(house / "services/router/headrace_router/planted.py", "import psycopg")
    [violation] = unlocked_imports(house)
    assert violation.endswith("psycopg is not declared in pyproject.toml")


def test_import_for_type_checkers_needs_no_lock(house: Path) -> None:
    code = "if typing.TYPE_CHECKING:\n    from types_aiobotocore_sqs import SQSClient\n"
    write(house / "services/router/headrace_router/planted.py", code)
    assert unlocked_imports(house) == []


def test_client_in_the_else_of_type_checking_is_found(house: Path) -> None:
    code = "if TYPE_CHECKING:\n    import boto3\nelse:\n    import boto3\n"
    write(house / "services/router/headrace_router/planted.py", code)
    assert len(unlocked_imports(house)) == 1


@pytest.mark.parametrize(
    "lock", [DEV_LOCK, BUILD_LOCK, EMULATOR_LOCK, POLICY_LOCK, "services/api/requirements.lock"]
)
def test_locked_version_without_hash_is_found(house: Path, lock: str) -> None:
    (house / lock).write_text((house / lock).read_text().replace(f" \\\n{HASH}", "", 1))
    [violation] = unhashed(house)
    assert violation.startswith(lock)


@pytest.mark.parametrize(
    ("pyproject", "before", "after", "lock"),
    [
        ("shared/pyproject.toml", "2.14", "2.15", "services/router/requirements.lock"),
        ("services/api/pyproject.toml", "]", ', "rich"]', "services/api/requirements.lock"),
        ("services/api/pyproject.toml", "]", ', "rich"]', DEV_LOCK),
        ("local/pyproject.toml", "]", ', "psycopg==3.3.8"]', DEV_LOCK),
        ("pyproject.toml", "hatchling>=1", "hatchling>=2", BUILD_LOCK),
        ("pyproject.toml", '"pydantic"', '"boto3"', EMULATOR_LOCK),
        ("pyproject.toml", "checkov>=3.3", "checkov>=3.4", POLICY_LOCK),
    ],
)
def test_forgotten_make_lock_is_found(
    house: Path, pyproject: str, before: str, after: str, lock: str
) -> None:
    text = (house / pyproject).read_text()
    (house / pyproject).write_text(after.join(text.rsplit(before, 1)))
    assert any(violation.startswith(lock) for violation in stale(house))


def test_service_with_another_version_than_tested_is_found(house: Path) -> None:
    lock = house / "services/loader/requirements.lock"
    lock.write_text(lock.read_text().replace("psycopg==3.3.9", "psycopg==3.3.8"))
    [violation] = drifted(house)
    assert "psycopg is 3.3.8" in violation


@pytest.mark.parametrize(
    "line",
    [
        "--index" + "-url https://registry.example",
        "RUN pip install --find" + "-links /wheels headrace-shared",
        "ENV UV_" + "INDEX_URL=https://registry.example",
        "see https://pypi" + ".org/project/ministack",
        "wheel @ https://files.python" + "hosted.org/packages/x.whl",
        "index: http://localhost:3141/mirror" + "/simple/",
        "source: file://" + "/opt/mirror",
        "open('/ro" + "ot/headrace/x.csv')",
        "cd /home" + "/ada/headrace",
    ],
)
@pytest.mark.parametrize("place", ["Makefile", "services/api/requirements.lock", ".ci/run"])
def test_trace_of_one_machine_is_found(house: Path, place: str, line: str) -> None:
    old = (house / place).read_text() if (house / place).exists() else ""
    write(house / place, f"{old}{line}\n")
    [violation] = traces_of_one_machine(house)
    assert violation.startswith(f"{place}:")


@pytest.mark.parametrize("folder", [".venv/lib", ".git", "tests/unit/__pycache__"])
def test_generated_folders_are_not_judged(house: Path, folder: str) -> None:
    write(house / folder / "config", "--index" + "-url https://registry.example")
    assert traces_of_one_machine(house) == []


@pytest.mark.parametrize("folder", ["shared", "services/api", "local"])
def test_distribution_without_readme_is_found(house: Path, folder: str) -> None:
    (house / folder / "README.md").unlink()
    assert folders_without_readme(house) == [f"{folder}/README.md is missing"]


@pytest.mark.parametrize(
    "code", ["benchmarks/__main__.py", "infra/terraform/modules/service/main.tf"]
)
def test_folder_with_code_without_readme_is_found(house: Path, code: str) -> None:
    write(house / code, "")
    assert folders_without_readme(house) == [f"{Path(code).parts[0]}/README.md is missing"]


def test_lock_is_read_with_names_as_the_index_spells_them(tmp_path: Path) -> None:
    write(tmp_path / "lock", f"# made\nHypercorn==0.18.0 ; python_version < '4' \\\n{HASH}\n")
    assert read_lock(tmp_path / "lock") == {"hypercorn": "0.18.0"}


TABLES = "<!-- {0}: python -m tools.terraform_tables -->\n{1}\n<!-- end of {0} -->\n"


@pytest.fixture
def bucket(house: Path) -> Path:
    """A module whose README has its tables."""
    module = house / "infra/terraform/modules/bucket"
    write(
        module / "variables.tf",
        'variable "name" {\n  description = "Its name."\n  type        = string\n}\n',
    )
    write(module / "outputs.tf", 'output "arn" {\n  description = "Its ARN."\n  value = 1\n}\n')
    inputs = (
        "| input | type | default | meaning |\n|---|---|---|---|\n"
        "| `name` | `string` | needed | Its name. |"
    )
    outputs = "| output | meaning |\n|---|---|\n| `arn` | Its ARN. |"
    write(module / "README.md", TABLES.format("inputs", inputs) + TABLES.format("outputs", outputs))
    return module


def test_table_that_says_what_the_module_says_is_no_violation(house: Path, bucket: Path) -> None:
    assert bucket.is_dir()
    assert stale_tables(house) == []


def test_table_behind_its_module_is_found(house: Path, bucket: Path) -> None:
    text = (bucket / "variables.tf").read_text()
    (bucket / "variables.tf").write_text(text.replace("Its name.", "Its name, unique."))
    assert stale_tables(house) == [
        "infra/terraform/modules/bucket/README.md: run python -m tools.terraform_tables"
    ]


def test_module_without_a_place_for_its_tables_is_found(house: Path, bucket: Path) -> None:
    (bucket / "README.md").write_text("# bucket\n")
    [violation] = stale_tables(house)
    assert "no lines <!-- inputs" in violation


def test_module_without_readme_is_found(house: Path, bucket: Path) -> None:
    (bucket / "README.md").unlink()
    assert stale_tables(house) == ["infra/terraform/modules/bucket/README.md is missing"]


@pytest.mark.parametrize(
    "line",
    [
        "options = PlatformOptions(api_port=8080)",
        "URL = 'http://127.0.0.1:8080/readyz'",
        "environment = {'HEADRACE_API_PORT': '8080'}",
        "API_PORT: Final = 8080",
        "self.port = 8080",
        "server = socket.create_server((LOOPBACK, 8080))",
        "socket.create_connection(('127.0.0.1', 8080), timeout=1)",
    ],
)
def test_fixed_port_in_a_test_is_found(house: Path, line: str) -> None:
    write(house / "tests/e2e/test_planted.py", f"import socket\n{line}\n")
    [violation] = fixed_ports(house)
    assert violation.startswith("tests/e2e/test_planted.py:2:")


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("e2e", "options = PlatformOptions(aws_port=None, pg_port=0)"),
        ("e2e", "server = socket.create_server(('127.0.0.1', 0))"),
        ("e2e", "nowhere = 'postgresql://127.0.0.1:1/none'"),
        ("e2e", "settings = written(port=70_000)"),
        ("unit", "stack = Stack(api_url='http://127.0.0.1:8080')"),
    ],
)
def test_port_that_no_test_listens_on_is_no_violation(house: Path, place: str, line: str) -> None:
    write(house / f"tests/{place}/test_planted.py", f"{line}\n")
    assert fixed_ports(house) == []


def test_ci_runs_every_target_of_tests() -> None:
    steps = re.findall(r"^step make (\S+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    targets = re.findall(r"^(test\S*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(targets) == 4
    assert set(targets) <= set(steps)


def test_every_folder_of_tests_belongs_to_one_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [line] = re.findall(r"^APART := (.*)$", makefile, re.MULTILINE)
    for folder in line.split():
        assert (ROOT / folder).is_dir()
        assert re.search(rf"^\t.*-m pytest .*{folder}\b", makefile, re.MULTILINE)
