# The longest names, and everything on at once: what the rules of tests/terraform/aws compare with AWS's limits.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                   = "abcdefghij-abcdefghij-abcdef"
  databases              = ["dev", "analytics"]
  contracts_inferred_for = ["dev", "analytics"]
  image_registry         = "111122223333.dkr.ecr.us-east-1.amazonaws.com/abcdefghij-abcdefghij-abcdef"
  image_tag              = "1.2.3"
  warehouse              = { aurora = { minimum_acus = 0 } }
  kms_key_arn            = "arn:aws:kms:us-east-1:111122223333:key/0123"
  alert_emails           = ["ops@example.com"]
  alert_each_drop        = ["loaded", "rejected"]

  # The smallest network in the most zones, and the fewest tasks that scaling may leave.
  network = { cidr_block = "10.20.0.0/20", availability_zones = 3 }
  services = {
    router = { minimum_tasks = 0 }
    loader = { minimum_tasks = 0, maximum_tasks = 30 }
    logger = { minimum_tasks = 0 }
  }
  api_exposure = {
    public          = true
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/0123"
    allowed_cidrs   = ["192.0.2.0/24"]
    url             = "https://headrace.example.com"
    route53_zone_id = "Z0123456789ABCDEFGHIJ"
  }
}

run "longest_name" {
  assert {
    condition     = length(var.name) == 28 && length(aws_lb.api.name) == 32
    error_message = "The load balancer's name has no character to spare."
  }
}

run "longer_name_is_refused" {
  command = plan

  variables {
    name = "abcdefghij-abcdefghij-abcdefg"
  }

  expect_failures = [var.name]
}
