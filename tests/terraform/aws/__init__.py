"""What AWS refuses and no part on this machine does: rules on the states of Terraform's tests."""
