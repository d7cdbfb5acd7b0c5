"""TLS to the warehouse: its certificate is verified by the authorities that the settings name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headrace_api.warehouse import PostgresReader
from headrace_loader.postgres import PostgresWarehouse
from headrace_local.ports import LOOPBACK
from headrace_shared.aws import AwsClients
from headrace_shared.errors import TransientError
from headrace_shared.settings import WarehouseSettings
from headrace_shared.warehouse_access import WarehouseAccess
from headrace_verifier.ledger import Ledger

pytestmark = pytest.mark.integration

Connect = Callable[[WarehouseAccess], Awaitable[None]]

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
REFUSED = "certificate verify failed"


@dataclass
class Authority:
    """One that signs certificates of servers on loopback."""

    name: str

    def __post_init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = _signed(self.name, self.name, self._key, self._key, ca=True)

    def write(self, folder: Path) -> str:
        path = folder / f"{self.name}.crt"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return str(path)

    def issue(self, folder: Path) -> tuple[Path, Path]:
        """A server's certificate and key, as files."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _signed("127.0.0.1", self.name, key, self._key, ca=False)
        certificate, private = folder / "server.crt", folder / "server.key"
        certificate.write_bytes(issued.public_bytes(Encoding.PEM))
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private


def _signed(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, SHA256())


@dataclass
class Warehouse:
    """A Postgres that speaks TLS, and two authorities: its own, and one that it does not know."""

    dsn: str
    authority: str
    stranger: str

    def access(self, ca_file: str, **changes: str) -> WarehouseAccess:
        dsn = make_conninfo(self.dsn, **{"sslmode": "verify-full", **changes})
        return WarehouseAccess(dsn, ca_file=ca_file)


@asynccontextmanager
async def speaking_tls(dsn: str, context: ssl.SSLContext) -> AsyncIterator[int]:
    """The server of the DSN behind one that speaks TLS, as a server built with it does; its port.

    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
    """
    port = int(conninfo_to_dict(dsn)["port"] or 0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            assert await reader.readexactly(8) == SSL_REQUEST
            writer.write(b"S")
            await writer.start_tls(context)
            behind = await asyncio.open_connection(LOOPBACK, port)
            await asyncio.gather(_pass_on(reader, behind[1]), _pass_on(behind[0], writer))

    server = await asyncio.start_server(serve, LOOPBACK)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    finally:
        writer.close()


@pytest.fixture
async def warehouse(warehouse_dsn: str, tmp_path: Path) -> AsyncIterator[Warehouse]:
    authority, stranger = Authority("authority"), Authority("stranger")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue(tmp_path))
    # The loader makes the ledger, which the verifier reads.
    await loader(WarehouseAccess(warehouse_dsn))
    async with speaking_tls(warehouse_dsn, context) as port:
        dsn = make_conninfo(warehouse_dsn, port=port)
        yield Warehouse(dsn, authority.write(tmp_path), stranger.write(tmp_path))


async def loader(access: WarehouseAccess) -> None:
    async with PostgresWarehouse.open(access, connections=1, lock_timeout_seconds=5) as opened:
        await opened.probe()


async def api(access: WarehouseAccess) -> None:
    async with PostgresReader.open(access, connections=1, statement_timeout_seconds=5) as opened:
        await opened.ping()


async def verifier(access: WarehouseAccess) -> None:
    async with Ledger.open(access, "lake"):
        pass


@pytest.fixture(params=[loader, api, verifier], ids=["loader", "api", "verifier"])
def connect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Connect:
    monkeypatch.setattr("headrace_loader.pool._WAIT_SECONDS", 3.0)
    chosen: Connect = request.param
    return chosen


async def test_certificate_of_a_known_authority_is_accepted(
    warehouse: Warehouse, connect: Connect
) -> None:
    await connect(warehouse.access(warehouse.authority))


async def test_certificate_of_another_authority_is_refused(
    warehouse: Warehouse, connect: Connect
) -> None:
    for ca_file in (warehouse.stranger, ""):  # "": those of RDS
        with pytest.raises(TransientError):
            await connect(warehouse.access(ca_file))


async def test_certificate_of_another_host_is_refused(
    warehouse: Warehouse, connect: Connect
) -> None:
    with pytest.raises(TransientError):
        await connect(warehouse.access(warehouse.authority, host="localhost"))


async def test_refusal_says_why(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace_loader.pool._WAIT_SECONDS", 3.0)
    with pytest.raises(TransientError, match=REFUSED):
        await loader(warehouse.access(warehouse.stranger))


async def test_require_verifies_nothing(warehouse: Warehouse, connect: Connect) -> None:
    await connect(warehouse.access(warehouse.stranger, sslmode="require"))


async def test_setting_names_the_authorities(warehouse: Warehouse) -> None:
    dsn = make_conninfo(warehouse.dsn, sslmode="verify-full")
    settings = WarehouseSettings(warehouse_dsn=dsn, warehouse_ca_file=warehouse.authority)
    async with AsyncExitStack() as stack:
        await verifier(await WarehouseAccess.open(settings, AwsClients(stack, connections=1)))
