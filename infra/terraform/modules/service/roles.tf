# Two roles: what the service itself may do, and what ECS may do to start it.

locals {
  # The parts of a registry's address in ECR, by IPv4 alone or with IPv6; null for any other registry
  # (https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html).
  ecr = try(regex("^(?P<account>[0-9]{12})\\.dkr[.-]ecr\\.(?P<region>[a-z0-9-]+)\\.(?:amazonaws\\.com(?:\\.cn)?|on\\.aws)/(?P<prefix>.+)$", var.platform.image_registry), null)

  partition             = split(":", var.platform.cluster_arn)[1]
  image_repository_arns = local.ecr == null ? [] : ["arn:${local.partition}:ecr:${local.ecr.region}:${local.ecr.account}:repository/${local.ecr.prefix}-${var.name}"]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    # Only for tasks of this account: the confused deputy
    # (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html).
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [split(":", var.platform.cluster_arn)[4]]
    }
  }
}

resource "aws_iam_role" "task" {
  name               = "${local.full_name}-task"
  description        = "What the ${var.name} of ${var.platform.name} may do"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "inbox_access" {
  count = var.inbox == null ? 0 : 1

  statement {
    sid       = "ReadItsInbox"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.inbox[0].arn]
  }
}

data "aws_iam_policy_document" "key_access" {
  # In a document without a count: a key that is made in the same apply is not known in the plan.
  dynamic "statement" {
    for_each = var.platform.kms_key_arn == null ? [] : [1]
    content {
      sid       = "UseTheKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [var.platform.kms_key_arn]
    }
  }
}

data "aws_iam_policy_document" "protection" {
  count = local.protected ? 1 : 0

  # Asked for by ECS's agent on behalf of the task.
  statement {
    sid       = "KeepItsTasksWhileTheyWork"
    actions   = ["ecs:GetTaskProtection", "ecs:UpdateTaskProtection"]
    resources = ["${replace(var.platform.cluster_arn, ":cluster/", ":task/")}/*"]
  }
}

data "aws_iam_policy_document" "task" {
  source_policy_documents = concat(
    [var.policy_json, data.aws_iam_policy_document.key_access.json],
    data.aws_iam_policy_document.inbox_access[*].json,
    data.aws_iam_policy_document.protection[*].json,
  )
}

resource "aws_iam_role_policy" "task" {
  name   = "service"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}

resource "aws_iam_role" "execution" {
  name               = "${local.full_name}-start"
  description        = "What ECS may do to start the ${var.name} of ${var.platform.name}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "WriteItsLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  dynamic "statement" {
    for_each = length(local.image_repository_arns) > 0 ? [1] : []
    content {
      sid       = "PullItsImage"
      actions   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
      resources = local.image_repository_arns
    }
  }

  dynamic "statement" {
    for_each = length(local.image_repository_arns) > 0 ? [1] : []
    content {
      sid = "LogInToEcr"
      # AWS knows no resource for this action.
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = length(var.secrets) > 0 ? [1] : []
    content {
      sid       = "ReadItsSecrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = values(var.secrets)
    }
  }

  dynamic "statement" {
    for_each = length(var.secrets) > 0 && var.platform.kms_key_arn != null ? [1] : []
    content {
      sid       = "DecryptItsSecrets"
      actions   = ["kms:Decrypt"]
      resources = [var.platform.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}
