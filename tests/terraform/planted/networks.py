"""Addresses and ports."""

from __future__ import annotations

from typing import Final

from tests.terraform.aws import networks
from tests.terraform.planted.builders import Planted, one, state, subnet

HIGH, LOW = 443, 80

PLANTED: Final[list[Planted]] = [
    (
        networks.refused_networks,
        state(one("aws_vpc", cidr_block="10.0.0.0/8")),
        "/8 is not between",
    ),
    (networks.refused_networks, state(subnet("10.0.0.0/29")), "/29 is not between /16 and /28"),
    (networks.refused_networks, state(subnet("10.0.0.1/24")), "aws_subnet.one: cidr_block"),
    (
        networks.refused_networks,
        state(one("aws_vpc", cidr_block="10.0.0.0/20"), subnet("10.1.0.0/24")),
        "10.1.0.0/24 is outside of the VPC",
    ),
    (
        networks.refused_networks,
        state(subnet("10.0.0.0/24"), subnet("10.0.0.128/25", "two")),
        "aws_subnet.two: cidr_block: 10.0.0.128/25 overlaps aws_subnet.one",
    ),
    (
        networks.crowded_subnets,
        state(subnet("10.0.0.0/28"), one("aws_lb", subnets=["one"])),
        "aws_lb.it: subnets: aws_subnet.one is /28 (Application Load Balancers guide",
    ),
    (
        networks.crowded_subnets,
        state(
            subnet("10.0.0.0/28"),
            *[one("aws_vpc_endpoint", vpc_endpoint_type="Interface", subnet_ids=["one"])] * 12,
        ),
        "12 addresses of 11 are needed",
    ),
    (
        networks.balancers_in_one_zone,
        state(one("aws_lb", subnets=["one"])),
        "two availability zones",
    ),
    (
        networks.refused_ports,
        state(
            one(
                "aws_vpc_security_group_ingress_rule",
                ip_protocol="tcp",
                from_port=HIGH,
                to_port=LOW,
            )
        ),
        "from_port: 443 to 80",
    ),
]
