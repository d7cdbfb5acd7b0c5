"""Where Terraform takes the AWS provider from: a mirror on this machine, or the registry."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

CONFIGURATION: Final = "TF_CLI_CONFIG_FILE"

_PROVIDER: Final = re.compile(r"terraform-provider-aws_v(\d+\.\d+\.\d+)(?:_x\d+)?")
_DEPTH: Final = 7
"""From `/opt` to the platform's folder of a mirror that lies one folder below it."""


def usual_places() -> list[Path]:
    """Where Terraform itself looks for providers, and where administrators put them."""
    home = Path.home()
    data = [os.environ.get("XDG_DATA_HOME", ""), os.environ.get("XDG_DATA_DIRS", "")]
    named = [Path(part, "terraform", "plugins") for one in data for part in one.split(":") if part]
    return [
        home / ".terraform.d",
        home / ".local" / "share" / "terraform",
        *named,
        *(Path(folder) for folder in ("/usr/local/share/terraform", "/usr/share/terraform")),
        *(Path(folder) for folder in ("/var/lib/terraform", "/opt")),
    ]


def environment(into: Path, places: list[Path], platform: str) -> Mapping[str, str]:
    """What Terraform is told: nothing where TF_CLI_CONFIG_FILE is set already, or no provider lies
    in the places; else a CLI configuration, written to `into`, with a mirror of what was found.

    Args:
        platform: as Terraform writes it (`linux_arm64`).
    """
    found = [] if CONFIGURATION in os.environ else list(_providers(places))
    if not found:
        return {}
    mirror, written = into / "mirror", into / "terraformrc"
    for executable, version in found:
        _link(executable.parent, mirror / "registry.terraform.io/hashicorp/aws" / version, platform)
    # No `direct` beside it: what is tested then never depends on a network.
    written.write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n'
    )
    return {CONFIGURATION: str(written)}


def _providers(places: list[Path]) -> Iterator[tuple[Path, str]]:
    for place in places:
        for folder, inner, names in os.walk(place):
            if len(Path(folder).relative_to(place).parts) >= _DEPTH:
                inner.clear()
            for name in names:
                if matched := _PROVIDER.fullmatch(name):
                    yield Path(folder, name), matched[1]


def _link(executables: Path, version: Path, platform: str) -> None:
    version.mkdir(parents=True, exist_ok=True)
    if not (version / platform).exists():
        (version / platform).symlink_to(executables.resolve(), target_is_directory=True)
