"""Which actions IAM knows: mostly the operations of a service, but not all, and some more.

The list of IAM's own: Service Authorization Reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tests.terraform.aws.api import operations

SOURCE: Final = "Service Authorization Reference"

_MODELS: Final[Mapping[str, str]] = {
    "cloudwatch": "cloudwatch",
    "elasticloadbalancing": "elbv2",
}
"""Prefix of actions -> botocore's name of the service, where they differ."""

_IAM_ONLY: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset(
        {
            *("AbortMultipartUpload", "BypassGovernanceRetention", "DeleteObjectVersion"),
            *("DeleteObjectVersionTagging", "GetObjectVersion", "GetObjectVersionTagging"),
            *("GetObjectVersionAcl", "GetBucketLocation", "GetBucketVersioning"),
            *("GetBucketNotification", "GetEncryptionConfiguration", "GetLifecycleConfiguration"),
            *("ListAllMyBuckets", "ListBucket", "ListBucketMultipartUploads"),
            *("ListBucketVersions", "ListMultipartUploadParts", "PutBucketNotification"),
            *("PutEncryptionConfiguration", "PutLifecycleConfiguration", "PutObjectVersionAcl"),
            *("PutObjectVersionTagging", "ReplicateObject"),
        }
    ),
    "logs": frozenset(
        {"CreateLogDelivery", "DeleteLogDelivery", "GetLogDelivery", "ListLogDeliveries"}
        | {"UpdateLogDelivery"}
    ),
    "kms": frozenset({"ReEncryptFrom", "ReEncryptTo"}),
    "iam": frozenset({"PassRole"}),
    "ecr": frozenset({"BatchImportUpstreamImage", "ReplicateImage"}),
    "rds-db": frozenset({"connect"}),
    "ssmmessages": frozenset(
        {"CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"}
    ),
}

_NO_ACTIONS: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset(
        {
            *("CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObjects"),
            *("HeadBucket", "HeadObject", "ListBuckets", "ListMultipartUploads", "ListObjects"),
            *("ListObjectsV2", "ListObjectVersions", "ListParts", "UploadPart", "UploadPartCopy"),
            *("SelectObjectContent", "GetBucketEncryption", "PutBucketEncryption"),
            *("GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration"),
            *("GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration"),
        }
    ),
    "sqs": frozenset({"SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"}),
    "sns": frozenset({"PublishBatch"}),
    "dynamodb": frozenset(
        {"TransactGetItems", "TransactWriteItems", "ExecuteStatement", "ExecuteTransaction"}
        | {"BatchExecuteStatement"}
    ),
    "events": frozenset({"TestEventPatterns"}),
}
"""Operations that ask for the right to another action, or to each thing that they do."""


def of_objects(action: str) -> bool:
    """Whether an action of S3 is on objects (`bucket/*`), rather than on a bucket."""
    name = action.removeprefix("s3:")
    return "Object" in name.removesuffix("ObjectLockConfiguration") or name in (
        *("AbortMultipartUpload", "ListMultipartUploadParts", "BypassGovernanceRetention"),
    )


def known(service: str) -> frozenset[str]:
    """The actions of a prefix; none where IAM knows no such prefix."""
    own = _IAM_ONLY.get(service, frozenset())
    try:
        called = operations(_MODELS.get(service, service))
    except LookupError:
        return own
    return (called | own) - _NO_ACTIONS.get(service, frozenset())


def unknown(action: str) -> bool:
    """Whether IAM knows no such action, or none that a pattern with `*` matches."""
    if action == "*":
        return False
    service, colon, name = action.partition(":")
    wanted = re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."), re.IGNORECASE)
    return not colon or not any(wanted.fullmatch(one) for one in known(service.lower()))
