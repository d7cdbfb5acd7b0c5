# The API: its load balancer, and the secret that signs its cursors.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  databases      = ["dev"]
  image_registry = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
  image_tag      = "1.2.3"
  warehouse      = { secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:warehouse-AbCdEf" }
}

run "internal_by_default" {
  assert {
    condition     = length(module.cursor_secret) == 1
    error_message = "Without one of yours, a secret is made."
  }

  assert {
    condition     = aws_lb.api.internal
    error_message = "Nobody asked for the internet."
  }
}
