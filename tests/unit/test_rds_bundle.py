"""The authorities that are trusted for RDS are whole, valid, and those that their README names."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

from cryptography import x509

from headrace_shared.warehouse_access import RDS_AUTHORITIES, WarehouseAccess
from tools.rds_bundle import BUNDLE, region_of

README = (BUNDLE.parent / "README.md").read_text()
KINDS = 3
"""RSA 2048, RSA 4096 and ECC 384."""


def regions() -> list[str]:
    row = next(line for line in README.splitlines() if line.startswith("| regions |"))
    return re.findall(r"[a-z]{2}(?:-[a-z]+)+-\d", row)


def test_bundle_is_the_one_that_its_readme_names() -> None:
    assert BUNDLE == RDS_AUTHORITIES
    assert hashlib.sha256(BUNDLE.read_bytes()).hexdigest() in README


def test_bundle_has_every_root_of_every_region_for_years_to_come() -> None:
    later = datetime.now(UTC) + timedelta(days=3_650)
    found = [
        region_of(certificate, later)
        for certificate in x509.load_pem_x509_certificates(BUNDLE.read_bytes())
    ]
    assert sorted(str(region) for region in found) == sorted(regions() * KINDS)
    assert {"us-east-1", "eu-central-1", "ap-southeast-2", "sa-east-1"} <= set(regions())


def test_every_certificate_is_an_authority() -> None:
    for certificate in x509.load_pem_x509_certificates(BUNDLE.read_bytes()):
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_authorities_are_named_only_where_the_certificate_is_verified() -> None:
    access = WarehouseAccess("dbname=d")
    for mode in ("verify-ca", "verify-full"):
        trusting = access.trusting({"sslmode": mode, "host": "h"})
        assert trusting == {"sslmode": mode, "host": "h", "sslrootcert": str(BUNDLE)}
    for known in ({}, {"sslmode": "require"}, {"sslmode": "disable"}):
        assert access.trusting(known) == known


def test_own_authorities_win_over_those_of_rds() -> None:
    verifying = {"sslmode": "verify-full"}
    own = WarehouseAccess("dbname=d", ca_file="/etc/ca.pem")
    assert own.trusting(verifying)["sslrootcert"] == "/etc/ca.pem"
    in_dsn = {**verifying, "sslrootcert": "system"}
    assert own.trusting(in_dsn) == in_dsn
