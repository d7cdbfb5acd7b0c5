"""Who may write to the emulator of `headrace up`: those who have its platform's credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from headrace_local import emulator
from headrace_local.api_keys import local_key, put_key
from headrace_local.ports import answers, listening, port_of
from headrace_local.provision import provision
from headrace_local.resources import REGION, describe
from tests.real_parts import serving

pytestmark = pytest.mark.integration

SECRET = "of-this-platform"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("signed")
    with (
        listening() as listener,
        serving(emulator.emulator(listener, None, secret=SECRET), folder),
    ):
        yield emulator.endpoint(port_of(listener))


def client(url: str, service: Any, key: str, secret: str, **config: Any) -> Any:
    session = boto3.Session(key, secret, region_name=REGION)
    return session.client(
        service, endpoint_url=url, config=Config(retries={"max_attempts": 1}, **config)
    )


def test_platform_is_provisioned_with_its_own_credentials(url: str, tmp_path: Path) -> None:
    clients, resources = emulator.clients(url, SECRET), describe("mine")
    provision(resources, clients, emulator.ACCOUNT)
    put_key(clients.dynamodb, resources.keys_table.name, local_key()[1])
    assert clients.dynamodb.scan(TableName=resources.keys_table.name)["Count"] == 1
    odd = "dev/append/users/ä ö+%2B &?=(1).csv"
    for name, body in ((odd, b"id\n1\n"), ("dev/big.csv", b"x" * 9_000_000)):
        clients.s3.put_object(Bucket=resources.bucket.name, Key=name, Body=body)
        got = clients.s3.get_object(Bucket=resources.bucket.name, Key=name)["Body"].read()
        assert got == body
    file = tmp_path / "file"
    file.write_bytes(b"y" * 20_000_000)
    clients.s3.upload_file(str(file), resources.bucket.name, "dev/parts.csv")
    listed = clients.s3.list_objects_v2(Bucket=resources.bucket.name, Prefix="dev/p")
    assert [one["Size"] for one in listed["Contents"]] == [20_000_000]
    s3 = client(url, "s3", emulator.ACCESS_KEY_ID, SECRET, signature_version="s3v4")
    signed = s3.generate_presigned_url(
        "get_object", Params={"Bucket": resources.bucket.name, "Key": odd}
    )
    assert answers(signed)
    assert not answers(signed.replace("Signature=", "Signature=0"))


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        (emulator.ACCESS_KEY_ID, "another"),
        (emulator.ACCESS_KEY_ID, emulator.SECRET_ACCESS_KEY),
        ("test", "test"),
        ("test", SECRET),
        (emulator.ACCOUNT, SECRET),
        ("AKIAIOSFODNN7EXAMPLE", "x"),
    ],
)
def test_other_credentials_write_nothing(url: str, key: str, secret: str) -> None:
    clients, resources = emulator.clients(url, SECRET), describe("theirs")
    provision(resources, clients, emulator.ACCOUNT)
    table = resources.keys_table.name
    dynamodb = client(url, "dynamodb", key, secret)
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(TableName=table, Item={"key_id": {"S": "theirs"}})
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    calls = {"s3": "list_buckets", "sqs": "list_queues", "iam": "list_users"}
    for service, call in {**calls, "sts": "get_caller_identity"}.items():
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            getattr(client(url, service, key, secret), call)()
    assert clients.dynamodb.scan(TableName=table)["Count"] == 0


def test_requests_without_a_signature_are_refused(url: str) -> None:
    with pytest.raises(ClientError):
        client(url, "s3", "", "", signature_version=UNSIGNED).list_buckets()
    for path in ("/", "/_ministack/reset", "/mine-lake/", "/_ministack/rds/iam-auth"):
        assert not answers(f"{url}{path}")
    assert answers(f"{url}/_ministack/health")
