"""Where Terraform takes the AWS provider from: a mirror on this machine, or the registry."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

CONFIGURATION: Final = "TF_CLI_CONFIG_FILE"

_PROVIDER: Final = re.compile(r"terraform-provider-aws_v\d+\.\d+\.\d+(?:_x\d+)?")
_LAYOUT: Final = "*/hashicorp/aws/*/*"
"""Host, namespace, type, version and platform
(https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror)."""

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


def environment(into: Path, places: list[Path]) -> Mapping[str, str]:
    """What Terraform is told: nothing where TF_CLI_CONFIG_FILE names a file already, or no mirror
    with the provider lies in the places; else a CLI configuration with that mirror, written to
    `into`."""
    given = os.environ.get(CONFIGURATION, "")
    mirrors = [] if given and Path(given).is_file() else sorted(set(_mirrors(places)))
    if not mirrors:
        return {}
    written = into / "terraformrc"
    entries = "".join(f'  filesystem_mirror {{ path = "{mirror}" }}\n' for mirror in mirrors)
    # No `direct` beside them: what is tested then never depends on a network.
    written.write_text(f"provider_installation {{\n{entries}}}\n")
    return {CONFIGURATION: str(written)}


def _mirrors(places: list[Path]) -> Iterator[Path]:
    for place in places:
        for name, inner, files in os.walk(place):
            folder = Path(name)
            if len(folder.relative_to(place).parts) >= _DEPTH:
                inner.clear()
            if folder.match(_LAYOUT) and any(_PROVIDER.fullmatch(file) for file in files):
                yield folder.parents[4]
