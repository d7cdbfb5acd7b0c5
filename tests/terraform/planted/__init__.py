"""Faults for the rules of tests/terraform/aws: each list has a rule, a state, and the finding."""
