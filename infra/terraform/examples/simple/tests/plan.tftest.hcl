# The example is planned as it stands, with what its terraform.tfvars.example sets.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  region       = "us-east-1"
  alert_emails = ["you@example.com"]
}

run "applied_on_an_empty_account" {
  assert {
    condition     = startswith(output.make_images, "make images PUSH=1 PLATFORM=linux/arm64 TAG=1 PREFIX=")
    error_message = "The command names the tag that the services start with."
  }

  assert {
    condition     = output.lake_bucket != ""
    error_message = "There is a lake to drop files into."
  }
}
