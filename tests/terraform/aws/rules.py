"""Every rule on a state. A rule yields its findings: resource, attribute, what is wrong, source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from tests.terraform.aws import (
    attributes,
    combinations,
    dashboards,
    events,
    metrics,
    names,
    networks,
    policies,
    scaling,
    tags,
    tasks,
)
from tests.terraform.aws.state import State

Rule = Callable[[State], Iterator[str]]

RULES: Final[tuple[Rule, ...]] = (
    attributes.unknown_to_the_rules,
    attributes.refused_values,
    names.refused_names,
    names.names_given_twice,
    names.names_of_web_acl_logs,
    tags.refused_tags,
    policies.unreadable_policies,
    policies.ungrammatical_policies,
    policies.unknown_actions,
    policies.mismatched_s3_resources,
    policies.conditions_for_eventbridge,
    policies.oversized_policies,
    policies.characters_of_policies,
    events.refused_patterns,
    events.unknown_events,
    events.refused_transformers,
    events.roles_of_targets,
    events.refused_redrives,
    metrics.refused_alarms,
    metrics.refused_expressions,
    metrics.filled_counts,
    dashboards.refused_dashboards,
    metrics.unmeasured,
    scaling.stuck_at_zero,
    scaling.exact_steps,
    scaling.limits_of_targets,
    scaling.services_before_their_network,
    scaling.pinned_minor_versions,
    tasks.unknown_sizes,
    tasks.refused_containers,
    tasks.unbound_containers,
    combinations.tables_with_other_attributes,
    combinations.slow_health_checks,
    combinations.mismatched_listeners,
    combinations.mismatched_web_acl_rules,
    combinations.impossible_deployments,
    combinations.impossible_clusters,
    combinations.unknown_endpoints,
    networks.refused_networks,
    networks.crowded_subnets,
    networks.balancers_in_one_zone,
    networks.refused_ports,
)
