# The example is planned as it stands, with what its terraform.tfvars.example sets.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  region       = "us-east-1"
  alert_emails = ["you@example.com"]
}


run "applied_on_an_empty_account" {
  command = plan

  assert {
    condition     = module.headrace.dashboard_url == "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/headrace"
    error_message = "The stack is in the provider's region, and has the default name."
  }
}
