# The API's load balancer: inside the VPC by default, on the internet only with TLS, a list and a WAF.

mock_provider "aws" {
  source = "./tests/mocks"
}

provider "aws" {
  alias                       = "secrets"
  region                      = "us-east-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

variables {
  region         = "us-east-1"
  databases      = ["dev"]
  image_registry = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
  image_tag      = "1.2.3"
  # One made here comes by an ephemeral resource, which Terraform's mocks have not learned yet.
  cursor_secret = { arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:cursors-AbCdEf" }
  warehouse     = { secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:warehouse-AbCdEf" }
}

run "internal_by_default" {
  assert {
    condition     = aws_lb.api.internal
    error_message = "Nobody asked for the internet."
  }
}
