"""Log files of processes: for their owner, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_local.log_files import LogFile


def test_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "loader.log"
    path.write_text("of an earlier version\n")
    path.chmod(0o644)
    with LogFile(path) as log:
        log.write("a line")
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text() == "of an earlier version\na line\n"


@given(st.lists(st.text(max_size=50), max_size=60), st.integers(1, 300))
def test_lines_stay_bounded_and_the_last_ones_are_there(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], most: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "postgres.log"
    with LogFile(path, most) as log:
        for line in lines:
            log.write(line)
    written = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    before = path.with_suffix(".log.1")
    kept = (before.read_bytes() if before.exists() else b"") + path.read_bytes()
    assert written.endswith(kept)
    longest = max((len(line.encode(errors="replace")) + 1 for line in lines), default=0)
    assert len(kept) <= 2 * (most + longest)
    if lines:
        assert path.read_bytes().endswith(f"{lines[-1]}\n".encode(errors="replace"))
    for one in (path, before):
        assert not one.exists() or one.stat().st_mode & 0o777 == 0o600
