"""Addresses: sizes of a VPC and of its subnets, and what has to fit into them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

from tests.terraform.aws.state import Resource, State

_VPC: Final = "VPC user guide, VPC CIDR blocks and Subnet CIDR blocks: /16 to /28, 5 reserved each"
_BALANCERS: Final = "Application Load Balancers guide, Subnets: /27 at least, 8 free addresses each"
_RULES: Final = "EC2 API reference, AuthorizeSecurityGroupIngress"
_RESERVED: Final = 5
_FREE_FOR_BALANCER: Final = 8
_SUBNETS: Final = "aws_subnet"


def refused_networks(state: State) -> Iterator[str]:
    """VPCs and subnets of a size that AWS does not have, outside of their VPC, or overlapping."""
    for network in state.of("aws_vpc", _SUBNETS):
        try:
            size = _network(network).prefixlen
        except ValueError as error:
            yield f"{network.address}: cidr_block: {error} ({_VPC})"
            continue
        if not 16 <= size <= 28:
            yield f"{network.address}: cidr_block: /{size} is not between /16 and /28 ({_VPC})"
    yield from _misplaced(state)


def crowded_subnets(state: State) -> Iterator[str]:
    """Subnets too small for what is put into them: load balancer, endpoints, tasks."""
    subnets = {str(one.values.get("id")): one for one in _valid(state)}
    for balancer in state.of("aws_lb"):
        for id_ in balancer.values.get("subnets") or ():
            if id_ in subnets and _network(subnets[id_]).prefixlen > 27:
                yield (
                    f"{balancer.address}: subnets: {subnets[id_].address} is "
                    f"/{_network(subnets[id_]).prefixlen} ({_BALANCERS})"
                )
    for id_, subnet in subnets.items():
        free, wanted = _network(subnet).num_addresses - _RESERVED, _wanted(state, id_, len(subnets))
        if wanted > free:
            yield f"{subnet.address}: cidr_block: {wanted} addresses of {free} are needed ({_VPC})"


def balancers_in_one_zone(state: State) -> Iterator[str]:
    """Load balancers with fewer than two subnets."""
    for balancer in state.of("aws_lb"):
        if len(balancer.values.get("subnets") or ()) < 2:
            yield f"{balancer.address}: subnets: two availability zones are needed ({_BALANCERS})"


def refused_ports(state: State) -> Iterator[str]:
    """Rules of security groups with ports the wrong way round, or without any."""
    for rule in state.of(
        "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"
    ):
        low, high = rule.values.get("from_port"), rule.values.get("to_port")
        every = rule.values.get("ip_protocol") in ("-1", "all")
        if not every and (low is None or high is None or not 0 <= low <= high <= 65_535):
            yield f"{rule.address}: from_port: {low} to {high} are no ports ({_RULES})"


def _misplaced(state: State) -> Iterator[str]:
    subnets = _valid(state)
    blocks = [_network(one) for one in state.of("aws_vpc") if _is_network(one)]
    for position, subnet in enumerate(subnets):
        own = _network(subnet)
        if blocks and not any(own.subnet_of(block) for block in blocks):
            yield f"{subnet.address}: cidr_block: {own} is outside of the VPC ({_VPC})"
        for other in subnets[:position]:
            if own.overlaps(_network(other)):
                yield f"{subnet.address}: cidr_block: {own} overlaps {other.address} ({_VPC})"


def _wanted(state: State, subnet: str, zones: int) -> int:
    """Addresses that a subnet must have free: an interface for each endpoint and instance of RDS,
    eight for a load balancer, and its share of the tasks, twice as many during a deployment."""
    endpoints = sum(subnet in (one.values.get("subnet_ids") or ()) for one in _interfaces(state))
    balancers = sum(subnet in (one.values.get("subnets") or ()) for one in state.of("aws_lb"))
    tasks = sum(
        _most_tasks(state, one)
        for one in state.of("aws_ecs_service")
        for block in one.values.get("network_configuration") or ()
        if subnet in block["subnets"]
    )
    return endpoints + _FREE_FOR_BALANCER * balancers + -(-2 * tasks // max(zones, 1))


def _most_tasks(state: State, service: Resource) -> int:
    most = [
        one.values["max_capacity"]
        for one in state.of("aws_appautoscaling_target")
        if str(one.values.get("resource_id")).endswith(f"/{service.values['name']}")
    ]
    return int(max(most, default=service.values.get("desired_count") or 1))


def _interfaces(state: State) -> list[Resource]:
    return [
        one
        for one in state.of("aws_vpc_endpoint")
        if one.values.get("vpc_endpoint_type") == "Interface"
    ]


def _valid(state: State) -> list[Resource]:
    return [one for one in state.of(_SUBNETS) if _is_network(one)]


def _is_network(one: Resource) -> bool:
    try:
        _network(one)
    except ValueError:
        return False
    return True


def _network(one: Resource) -> IPv4Network:
    """Raises ValueError: its block is no network."""
    return IPv4Network(str(one.values.get("cidr_block")))
