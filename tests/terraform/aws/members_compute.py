"""The API behind networks, load balancers and containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.terraform.aws.mapping import BY_ID, Api, api

_INGRESS: Final = "ec2:AuthorizeSecurityGroupIngress:IpPermissions"
_EGRESS: Final = "ec2:AuthorizeSecurityGroupEgress:IpPermissions"
_GROUPS: Final = "ec2:AuthorizeSecurityGroupIngress:IpPermissions.UserIdGroupPairs"
_RECORD: Final = "route53:ChangeResourceRecordSets:ChangeBatch.Changes"
_HEALTH: Final = "elbv2:CreateTargetGroup:HealthCheck"

NETWORKS: Final[Mapping[str, Api]] = {
    "aws_default_security_group": api("ec2:CreateSecurityGroup"),
    "aws_eip": api("ec2:AllocateAddress"),
    "aws_flow_log": api(
        "ec2:CreateFlowLogs",
        members={"iam_role_arn": "ec2:CreateFlowLogs:DeliverLogsPermissionArn"},
        without={"vpc_id": BY_ID},
    ),
    "aws_internet_gateway": api("ec2:CreateInternetGateway"),
    "aws_nat_gateway": api("ec2:CreateNatGateway"),
    "aws_route": api("ec2:CreateRoute"),
    "aws_route53_record": api(
        f"{_RECORD}.ResourceRecordSet",
        "route53:ChangeResourceRecordSets",
        members={
            "zone_id": "route53:ChangeResourceRecordSets:HostedZoneId",
            "alias.name": f"{_RECORD}.ResourceRecordSet.AliasTarget.DNSName",
            "alias.zone_id": f"{_RECORD}.ResourceRecordSet.AliasTarget.HostedZoneId",
        },
    ),
    "aws_route_table": api("ec2:CreateRouteTable"),
    "aws_route_table_association": api("ec2:AssociateRouteTable"),
    "aws_security_group": api(
        "ec2:CreateSecurityGroup", members={"name": "ec2:CreateSecurityGroup:GroupName"}
    ),
    "aws_subnet": api("ec2:CreateSubnet"),
    "aws_vpc": api("ec2:CreateVpc"),
    "aws_vpc_endpoint": api("ec2:CreateVpcEndpoint"),
    "aws_vpc_security_group_egress_rule": api(
        _EGRESS,
        members={
            "cidr_ipv4": f"{_EGRESS}.IpRanges.CidrIp",
            # The stricter one of both: a rule for a group has no `&`.
            "description": f"{_GROUPS}.Description",
        },
        without={"security_group_id": BY_ID, "referenced_security_group_id": BY_ID},
    ),
    "aws_vpc_security_group_ingress_rule": api(
        _INGRESS,
        members={
            "cidr_ipv4": f"{_INGRESS}.IpRanges.CidrIp",
            "description": f"{_GROUPS}.Description",
        },
        without={"security_group_id": BY_ID, "referenced_security_group_id": BY_ID},
    ),
}

CONTAINERS: Final[Mapping[str, Api]] = {
    "aws_appautoscaling_policy": api(
        "application-autoscaling:PutScalingPolicy",
        members={"name": "application-autoscaling:PutScalingPolicy:PolicyName"},
    ),
    "aws_appautoscaling_target": api("application-autoscaling:RegisterScalableTarget"),
    "aws_ecr_lifecycle_policy": api(
        "ecr:PutLifecyclePolicy",
        members={
            "repository": "ecr:PutLifecyclePolicy:repositoryName",
            "policy": "ecr:PutLifecyclePolicy:lifecyclePolicyText",
        },
    ),
    "aws_ecr_repository": api(
        "ecr:CreateRepository", members={"name": "ecr:CreateRepository:repositoryName"}
    ),
    "aws_ecs_cluster": api("ecs:CreateCluster", members={"name": "ecs:CreateCluster:clusterName"}),
    "aws_ecs_service": api(
        "ecs:CreateService",
        "ecs:CreateService:deploymentConfiguration",
        "ecs:CreateService:networkConfiguration.awsvpcConfiguration",
        members={
            "name": "ecs:CreateService:serviceName",
            "deployment_maximum_percent": (
                "ecs:CreateService:deploymentConfiguration.maximumPercent"
            ),
            "deployment_minimum_healthy_percent": (
                "ecs:CreateService:deploymentConfiguration.minimumHealthyPercent"
            ),
            "network_configuration": ("ecs:CreateService:networkConfiguration.awsvpcConfiguration"),
        },
    ),
    "aws_ecs_task_definition": api(
        "ecs:RegisterTaskDefinition",
        without={"container_definitions": "JSON: tasks.py looks at it"},
    ),
    "aws_lb": api(
        "elbv2:CreateLoadBalancer",
        members={"load_balancer_type": "elbv2:CreateLoadBalancer:Type"},
        without={
            "access_logs": "names of a bucket of the user's, and of a folder in it",
            "idle_timeout": "a value of LoadBalancerAttributes: networks.py looks at it",
        },
    ),
    "aws_lb_listener": api(
        "elbv2:CreateListener",
        members={"certificate_arn": "elbv2:CreateListener:Certificates.CertificateArn"},
    ),
    "aws_lb_target_group": api(
        "elbv2:CreateTargetGroup",
        members={
            "deregistration_delay": (
                "elbv2:ModifyTargetGroupAttributes:Attributes.Key"
                "#deregistration_delay.timeout_seconds"
            ),
            "health_check.healthy_threshold": "elbv2:CreateTargetGroup:HealthyThresholdCount",
            "health_check.unhealthy_threshold": "elbv2:CreateTargetGroup:UnhealthyThresholdCount",
            "health_check.interval": f"{_HEALTH}IntervalSeconds",
            "health_check.timeout": f"{_HEALTH}TimeoutSeconds",
            "health_check.path": f"{_HEALTH}Path",
            "health_check.port": f"{_HEALTH}Port",
            "health_check.protocol": f"{_HEALTH}Protocol",
            "health_check.matcher": "elbv2:CreateTargetGroup:Matcher.HttpCode",
        },
    ),
    "aws_wafv2_web_acl": api("wafv2:CreateWebACL"),
    "aws_wafv2_web_acl_association": api("wafv2:AssociateWebACL"),
    "aws_wafv2_web_acl_logging_configuration": api(
        "wafv2:PutLoggingConfiguration:LoggingConfiguration",
        members={
            "logging_filter.filter": (
                "wafv2:PutLoggingConfiguration:LoggingConfiguration.LoggingFilter.Filters"
            ),
        },
    ),
}
