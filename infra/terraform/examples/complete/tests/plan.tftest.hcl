# The example is planned with what its terraform.tfvars.example sets.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  region           = "us-east-1"
  databases        = ["dev", "shop"]
  image_registry   = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
  image_tag        = "1"
  api_url          = "https://headrace.example.com"
  certificate_arn  = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
  route53_zone_id  = "Z0123456789ABCDEFGHIJ"
  allowed_cidrs    = ["192.0.2.0/24"]
  jwt_issuer       = "https://login.example.com"
  dropping_account = "444455556666"
  alert_emails     = ["you@example.com"]
}

# The command of prepare_warehouse calls AWS: nothing is applied here.
run "planned" {
  command = plan

  assert {
    condition     = output.api_url == "https://headrace.example.com"
    error_message = "The API has the name that was given."
  }

  assert {
    condition     = length([for s in data.aws_iam_policy_document.key.statement : s if contains([for p in s.principals : p.type], "Service")]) == 3
    error_message = "EventBridge, CloudWatch and Logs may use the key."
  }
}
