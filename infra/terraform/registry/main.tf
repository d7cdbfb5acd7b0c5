# The image repositories of the services: made before the stack, since images must be there when it
# starts its tasks. A module without provider blocks, like the stack.

locals {
  services = ["router", "loader", "logger", "api", "verifier"]
}

resource "aws_ecr_repository" "services" {
  for_each = toset(local.services)
  name     = "${var.name}-${each.value}"
  # A version that has been deployed stays what it was: a roll-back brings back the same bytes.
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.destroy_with_images

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    #checkov:skip=CKV_AWS_136:With your key where kms_key_arn names one. The images are built from public sources; ECR's own AES256 does for the rest.
    encryption_type = var.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.kms_key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "services" {
  for_each   = aws_ecr_repository.services
  repository = each.value.name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Images that no tag names any more"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "All but the last versions"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.kept_versions }
        action       = { type = "expire" }
      },
    ]
  })
}
