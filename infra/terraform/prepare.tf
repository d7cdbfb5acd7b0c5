# The role of the services in an Aurora made here. It is made by one task of the loader's image, which has
# a role of its own: no service may read the master user's secret.

locals {
  # `env` gives the AWS CLI the stack's region.
  run_task = join(" ", [
    "env", "AWS_REGION=${local.region}", "sh", "${abspath(path.module)}/run-task", aws_ecs_cluster.this.name,
    join(",", local.network.task_subnet_ids), join(",", local.task_security_group_ids),
  ])

  preparation_environment = {
    HEADRACE_ADMIN_SECRET = one(module.postgres[*].admin_secret_arn)
  }

  preparations = [for role in aws_iam_role.prepare : {
    command = join(" ", [
      local.run_task, "loader", "--task-definition", module.loader.task_definition_arn, "--role", role.arn,
      join(" ", [for name, value in local.preparation_environment : "--env ${name}=${value}"]), "--", "headrace_loader.warehouse_roles",
    ])
    revision = "${module.warehouse_secret[0].arn} ${var.warehouse.aurora.password_generation}"
  }]
}

data "aws_iam_policy_document" "prepare_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "prepare" {
  count = var.warehouse.aurora == null ? 0 : 1

  statement {
    sid       = "ReadTheSecretsOfBothUsers"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [module.postgres[0].admin_secret_arn, module.warehouse_secret[0].arn]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [1]
    content {
      sid       = "DecryptThem"
      actions   = ["kms:Decrypt"]
      resources = [var.kms_key_arn]
    }
  }
}

resource "aws_iam_role" "prepare" {
  count              = var.warehouse.aurora == null ? 0 : 1
  name               = "${var.name}-prepare-task"
  description        = "What the task may do that makes the role of the services in the warehouse of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.prepare_trust.json
}

resource "aws_iam_role_policy" "prepare" {
  count  = length(aws_iam_role.prepare)
  name   = "prepare"
  role   = aws_iam_role.prepare[0].id
  policy = data.aws_iam_policy_document.prepare[0].json
}
