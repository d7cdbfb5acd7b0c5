# The warehouse: yours, by a secret; or an Aurora that is made here. Redshift will stand beside them.

module "postgres" {
  count               = var.warehouse.aurora == null ? 0 : 1
  source              = "./modules/postgres"
  name                = "${var.name}-warehouse"
  database            = replace(var.warehouse.database, "-", "_")
  settings            = var.warehouse.aurora
  vpc_id              = local.network.vpc_id
  subnet_ids          = local.network.task_subnet_ids
  client_group_id     = aws_security_group.tasks.id
  kms_key_arn         = var.kms_key_arn
  log_retention_days  = var.log_retention_days
  skip_final_snapshot = var.destroy_with_data
}

locals {
  made = one(module.postgres)

  # The secret's username and password win over what stands here, and so do its host, port and
  # dbname where it has them.
  warehouse = {
    secret_arn     = local.made == null ? var.warehouse.secret_arn : local.made.secret_arn
    api_secret_arn = local.made == null ? coalesce(var.warehouse.api_secret_arn, var.warehouse.secret_arn) : local.made.secret_arn
    host           = local.made == null ? var.warehouse.host : local.made.host
    port           = local.made == null ? var.warehouse.port : local.made.port
    # RDS takes no hyphen in it.
    database = local.made == null ? var.warehouse.database : replace(var.warehouse.database, "-", "_")
  }

  warehouse_environment = {
    HEADRACE_WAREHOUSE_DSN = join(" ", compact([
      local.warehouse.host == null ? "" : "host=${local.warehouse.host}",
      local.warehouse.host == null ? "" : "port=${local.warehouse.port}",
      "dbname=${local.warehouse.database}",
      "sslmode=${var.warehouse.sslmode}",
    ]))
  }
}

data "aws_iam_policy_document" "warehouse_secret" {
  statement {
    sid       = "ReadTheWarehousesSecret"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [local.warehouse.secret_arn]
  }

  dynamic "statement" {
    for_each = var.warehouse.secret_kms_key_arn == null ? [] : [var.warehouse.secret_kms_key_arn]
    content {
      sid       = "DecryptTheWarehousesSecret"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}
