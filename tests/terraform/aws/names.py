"""Names that AWS reserves, or whose rules its models leave out; and names given twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from tests.terraform.aws.state import MADE_UP, State

_BUCKETS: Final = "S3 user guide, General purpose bucket naming rules"
_BUCKET: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_BUCKET_PREFIXES: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "-an")

_POSTGRES: Final = "PostgreSQL, Appendix C. SQL Key Words: reserved"
_RESERVED: Final = frozenset(
    re.findall(
        r"\w+",
        """
        all analyse analyze and any array as asc asymmetric authorization binary both
        case cast check collate collation column concurrently constraint create cross
        current_catalog current_date current_role current_schema current_time
        current_timestamp current_user default deferrable desc distinct do else end
        except false fetch for foreign freeze from full grant group having ilike in
        initially inner intersect into is isnull join lateral leading left like limit
        localtime localtimestamp natural not notnull null offset on only or order outer
        overlaps placing primary references returning right select session_user similar
        some symmetric system_user table tablesample then to trailing true union unique
        user using variadic verbose when where window with
        """,
    )
)
_RDS: Final = (
    "Aurora user guide, Master user account privileges; RDS API reference, CreateDBCluster"
)
_RDS_USERS: Final = frozenset(
    {"rdsadmin", "rdsrepladmin", "rds_superuser", "rds_replication", "rdstopmgr", "admin"}
    | {"public", "none"}
)
_RDS_DATABASES: Final = frozenset({"rdsadmin", "template0", "template1"})

_PATTERNS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    # (type, attribute) -> the pattern of a whole name, and where that is said.
    ("aws_cloudwatch_event_bus", "name"): (
        r"(?!default$)[^/]+",
        "EventBridge API reference, CreateEventBus: no / and not default",
    ),
    ("aws_cloudwatch_log_group", "name"): (
        r"(?!aws/).+",
        "CloudWatch Logs API reference, CreateLogGroup: not aws/",
    ),
    ("aws_dynamodb_table", "name"): (
        r"[a-zA-Z0-9_.-]{3,255}",
        "DynamoDB developer guide, Naming rules",
    ),
    ("aws_rds_cluster_parameter_group", "name"): (
        r"(?!.*--)[a-z](?:[a-z0-9-]{0,253}[a-z0-9])?",
        "RDS API reference, CreateDBClusterParameterGroup: stored in lower case",
    ),
    ("aws_db_subnet_group", "name"): (
        r"[a-z0-9._ -]{1,255}",
        "RDS API reference, CreateDBSubnetGroup: stored in lower case",
    ),
    ("aws_rds_cluster", "cluster_identifier"): (
        r"[a-z][a-z0-9-]{0,62}",
        "RDS API reference, CreateDBCluster: stored in lower case",
    ),
    ("aws_rds_cluster", "database_name"): (
        r"[A-Za-z]\w{0,62}",
        "PostgreSQL, Lexical structure: identifiers of at most 63 bytes",
    ),
    ("aws_sns_topic_subscription", "protocol"): (
        r"https?|email|email-json|sms|sqs|application|lambda|firehose",
        "SNS API reference, Subscribe",
    ),
    ("aws_lb_listener", "ssl_policy"): (
        r"ELBSecurityPolicy-[\w-]+",
        "Application Load Balancers guide, Security policies",
    ),
    ("aws_rds_cluster", "engine_version"): (r"\d+(?:\.\d+)?", "RDS API reference, CreateDBCluster"),
    ("aws_ecs_cluster", "name"): (r"[\w-]{1,255}", "ECS API reference, CreateCluster"),
}

_UNIQUE: Final[Mapping[str, tuple[str, ...]]] = {
    # Type -> the attributes that no two of a region or account may share.
    "aws_appautoscaling_policy": ("resource_id", "name"),
    "aws_cloudwatch_event_archive": ("name",),
    "aws_cloudwatch_event_bus": ("name",),
    "aws_cloudwatch_event_rule": ("event_bus_name", "name"),
    "aws_cloudwatch_event_target": ("event_bus_name", "rule", "target_id"),
    "aws_cloudwatch_log_group": ("name",),
    "aws_cloudwatch_metric_alarm": ("alarm_name",),
    "aws_db_subnet_group": ("name",),
    "aws_dynamodb_table": ("name",),
    "aws_ecr_repository": ("name",),
    "aws_ecs_cluster": ("name",),
    "aws_ecs_service": ("cluster", "name"),
    "aws_iam_role": ("name",),
    "aws_iam_role_policy": ("role", "name"),
    "aws_lb": ("name",),
    "aws_lb_target_group": ("name",),
    "aws_rds_cluster": ("cluster_identifier",),
    "aws_rds_cluster_instance": ("identifier",),
    "aws_s3_bucket": ("bucket",),
    "aws_secretsmanager_secret": ("name",),
    "aws_security_group": ("vpc_id", "name"),
    "aws_sns_topic": ("name",),
    "aws_sqs_queue": ("name",),
}


def refused_names(state: State) -> Iterator[str]:
    """Names that are reserved or malformed, though AWS's models say nothing of it."""
    for (type_, attribute), (pattern, source) in _PATTERNS.items():
        for resource in state.of(type_):
            name = resource.values.get(attribute)
            if not isinstance(name, str) or MADE_UP.fullmatch(name):
                continue
            if not re.fullmatch(pattern, name, re.ASCII):
                yield f"{resource.address}: {attribute}: {name!r} is not allowed ({source})"
    yield from _buckets(state)
    yield from _databases(state)


def names_given_twice(state: State) -> Iterator[str]:
    """Two resources of one type with one name: the second one exists already, for AWS."""
    for type_, attributes in _UNIQUE.items():
        met: dict[tuple[object, ...], str] = {}
        for resource in state.of(type_):
            name = tuple(resource.values.get(attribute) for attribute in attributes)
            first = met.setdefault(name, resource.address)
            if first != resource.address and None not in name:
                yield (
                    f"{resource.address}: {attributes[-1]}: {name[-1]!r} is {first}'s too "
                    f"(AWS's names of {type_} are unique)"
                )


def names_of_web_acl_logs(state: State) -> Iterator[str]:
    """Log groups of a web ACL, which WAF wants to begin with aws-waf-logs-."""
    if not state.of("aws_wafv2_web_acl_logging_configuration"):
        return
    names = [str(one.values.get("name")) for one in state.of("aws_cloudwatch_log_group")]
    if not any(name.startswith("aws-waf-logs-") for name in names):
        yield (
            "aws_wafv2_web_acl_logging_configuration: no log group begins with aws-waf-logs- "
            "(WAF developer guide, Sending web ACL traffic logs to CloudWatch Logs)"
        )


def _buckets(state: State) -> Iterator[str]:
    for bucket in state.of("aws_s3_bucket"):
        name = bucket.values.get("bucket")
        if isinstance(name, str) and not MADE_UP.fullmatch(name) and not _is_bucket(name):
            yield f"{bucket.address}: bucket: {name!r} is no name of a bucket ({_BUCKETS})"


def _is_bucket(name: str) -> bool:
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and not name.startswith(_BUCKET_PREFIXES)
        and not name.endswith(_BUCKET_SUFFIXES)
        and not _is_address(name)
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _databases(state: State) -> Iterator[str]:
    for cluster in state.of("aws_rds_cluster"):
        user = str(cluster.values.get("master_username") or "").lower()
        database = str(cluster.values.get("database_name") or "").lower()
        if user in _RDS_USERS or user.startswith("pg_"):
            yield f"{cluster.address}: master_username: {user!r} is reserved ({_RDS})"
        if database in _RDS_DATABASES:
            yield f"{cluster.address}: database_name: {database!r} is reserved ({_RDS})"
        for attribute, name in (("master_username", user), ("database_name", database)):
            if name in _RESERVED:
                yield f"{cluster.address}: {attribute}: {name!r} is reserved ({_POSTGRES})"
