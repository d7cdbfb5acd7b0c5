"""The API behind what keeps data, and behind rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.terraform.aws.mapping import DOCUMENT, OURS, Api, api

_CLUSTER: Final = "rds:CreateDBCluster"
_TABLE: Final = "dynamodb:CreateTable"

STORES: Final[Mapping[str, Api]] = {
    "aws_db_subnet_group": api(
        "rds:CreateDBSubnetGroup",
        members={
            "name": "rds:CreateDBSubnetGroup:DBSubnetGroupName",
            "description": "rds:CreateDBSubnetGroup:DBSubnetGroupDescription",
        },
    ),
    "aws_dynamodb_table": api(
        _TABLE,
        members={
            "name": f"{_TABLE}:TableName",
            "attribute.name": f"{_TABLE}:AttributeDefinitions.AttributeName",
            "attribute.type": f"{_TABLE}:AttributeDefinitions.AttributeType",
            "hash_key": f"{_TABLE}:KeySchema.AttributeName",
            "range_key": f"{_TABLE}:KeySchema.AttributeName",
            "global_secondary_index.name": f"{_TABLE}:GlobalSecondaryIndexes.IndexName",
            "global_secondary_index.hash_key": f"{_TABLE}:KeySchema.AttributeName",
            "global_secondary_index.range_key": f"{_TABLE}:KeySchema.AttributeName",
            "global_secondary_index.projection_type": (
                f"{_TABLE}:GlobalSecondaryIndexes.Projection.ProjectionType"
            ),
            "server_side_encryption.kms_key_arn": f"{_TABLE}:SSESpecification.KMSMasterKeyId",
            "ttl": "dynamodb:UpdateTimeToLive:TimeToLiveSpecification",
        },
    ),
    "aws_rds_cluster": api(
        _CLUSTER,
        members={
            "cluster_identifier": f"{_CLUSTER}:DBClusterIdentifier",
            "final_snapshot_identifier": "rds:DeleteDBCluster:FinalDBSnapshotIdentifier",
            "serverlessv2_scaling_configuration": f"{_CLUSTER}:ServerlessV2ScalingConfiguration",
            "enabled_cloudwatch_logs_exports": f"{_CLUSTER}:EnableCloudwatchLogsExports",
        },
    ),
    "aws_rds_cluster_instance": api(
        "rds:CreateDBInstance",
        members={
            "identifier": "rds:CreateDBInstance:DBInstanceIdentifier",
            "cluster_identifier": "rds:CreateDBInstance:DBClusterIdentifier",
            "instance_class": "rds:CreateDBInstance:DBInstanceClass",
        },
    ),
    "aws_rds_cluster_parameter_group": api(
        "rds:CreateDBClusterParameterGroup",
        members={
            "name": "rds:CreateDBClusterParameterGroup:DBClusterParameterGroupName",
            "family": "rds:CreateDBClusterParameterGroup:DBParameterGroupFamily",
            "parameter": "rds:ModifyDBClusterParameterGroup:Parameters",
            "parameter.name": "rds:ModifyDBClusterParameterGroup:Parameters.ParameterName",
            "parameter.value": "rds:ModifyDBClusterParameterGroup:Parameters.ParameterValue",
        },
    ),
    "aws_s3_bucket": api("s3:CreateBucket"),
    "aws_s3_bucket_lifecycle_configuration": api(
        "s3:PutBucketLifecycleConfiguration",
        "s3:PutBucketLifecycleConfiguration:LifecycleConfiguration",
    ),
    "aws_s3_bucket_notification": api("s3:PutBucketNotificationConfiguration"),
    "aws_s3_bucket_ownership_controls": api(
        "s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls:OwnershipControls"
    ),
    "aws_s3_bucket_policy": api("s3:PutBucketPolicy", without={"policy": DOCUMENT}),
    "aws_s3_bucket_public_access_block": api("s3:PutPublicAccessBlock"),
    "aws_s3_bucket_server_side_encryption_configuration": api(
        "s3:PutBucketEncryption",
        "s3:PutBucketEncryption:ServerSideEncryptionConfiguration",
        members={
            "rule.apply_server_side_encryption_by_default.kms_master_key_id": (
                "s3:PutBucketEncryption:ServerSideEncryptionConfiguration.Rules"
                ".ApplyServerSideEncryptionByDefault.KMSMasterKeyID"
            ),
            "rule.apply_server_side_encryption_by_default.sse_algorithm": (
                "s3:PutBucketEncryption:ServerSideEncryptionConfiguration.Rules"
                ".ApplyServerSideEncryptionByDefault.SSEAlgorithm"
            ),
        },
    ),
    "aws_s3_bucket_versioning": api("s3:PutBucketVersioning"),
}

RIGHTS: Final[Mapping[str, Api]] = {
    "aws_iam_role": api(
        "iam:CreateRole",
        members={"name": "iam:CreateRole:RoleName"},
        without={"assume_role_policy": DOCUMENT},
    ),
    "aws_iam_role_policy": api(
        "iam:PutRolePolicy",
        members={"name": "iam:PutRolePolicy:PolicyName", "role": "iam:PutRolePolicy:RoleName"},
        without={"policy": DOCUMENT},
    ),
    "aws_secretsmanager_secret": api(
        "secretsmanager:CreateSecret",
        without={"recovery_window_in_days": "only sent when the secret is deleted: 0, or 7 to 30"},
    ),
    "aws_secretsmanager_secret_version": api(
        "secretsmanager:PutSecretValue", without={"secret_string_wo_version": OURS}
    ),
}
