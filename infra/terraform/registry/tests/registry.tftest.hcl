mock_provider "aws" {
  mock_resource "aws_ecr_repository" {
    defaults = { arn = "arn:aws:ecr:us-east-1:111122223333:repository/headrace" }
  }
}

override_resource {
  target = aws_ecr_repository.services["router"]
  values = {
    arn            = "arn:aws:ecr:us-east-1:111122223333:repository/headrace-router"
    repository_url = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace-router"
  }
}

run "repositories" {
  assert {
    condition     = toset(values(aws_ecr_repository.services)[*].name) == toset(["headrace-router", "headrace-loader", "headrace-logger", "headrace-api", "headrace-verifier"])
    error_message = "One for each service."
  }

  assert {
    condition     = alltrue([for one in aws_ecr_repository.services : one.image_tag_mutability == "IMMUTABLE" && one.image_scanning_configuration[0].scan_on_push && !one.force_delete])
    error_message = "Tags stay what they are, images are scanned, and none is deleted by mistake."
  }

  assert {
    condition     = alltrue([for one in aws_ecr_repository.services : one.encryption_configuration[0].encryption_type == "AES256"])
    error_message = "ECR's own key where no other is given."
  }

  assert {
    condition     = alltrue([for one in aws_ecr_lifecycle_policy.services : jsondecode(one.policy).rules[1].selection.countNumber == 50 && jsondecode(one.policy).rules[0].selection.tagStatus == "untagged"])
    error_message = "The last versions are kept."
  }

  assert {
    condition     = output.image_registry == "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
    error_message = "The stack takes it as it is."
  }
}

run "own_key" {
  state_key = "own_key"

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/0123"
  }

  assert {
    condition     = alltrue([for one in aws_ecr_repository.services : one.encryption_configuration[0].encryption_type == "KMS" && one.encryption_configuration[0].kms_key == "arn:aws:kms:us-east-1:111122223333:key/0123"])
    error_message = "Encrypted with the key that was given."
  }
}

run "a_capital_is_refused" {
  command = plan

  variables {
    name = "Headrace"
  }

  expect_failures = [var.name]
}

run "nothing_to_go_back_to_is_refused" {
  command = plan

  variables {
    kept_versions = 1
  }

  expect_failures = [var.kept_versions]
}
