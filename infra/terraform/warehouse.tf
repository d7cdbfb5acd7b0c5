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

# The role of the services in that Aurora, which prepare.tf makes once.
module "warehouse_secret" {
  count         = var.warehouse.aurora == null ? 0 : 1
  source        = "./modules/secret"
  name          = "${var.name}/warehouse"
  description   = "The role of the services in the warehouse"
  username      = "headrace"
  generation    = var.warehouse.aurora.password_generation
  recovery_days = var.destroy_with_data ? 0 : 7
  kms_key_arn   = var.kms_key_arn
}

locals {
  made = one(module.postgres)

  # The secret's username and password win over what is given here, and so do its host, port and
  # dbname where it has them.
  warehouse = {
    secret_arn     = local.made == null ? var.warehouse.secret_arn : module.warehouse_secret[0].arn
    api_secret_arn = local.made == null ? coalesce(var.warehouse.api_secret_arn, var.warehouse.secret_arn) : module.warehouse_secret[0].arn
    host           = local.made == null ? var.warehouse.host : local.made.host
    # Of Aurora's it is known before there is one, so that no rule that names it waits for that.
    port = var.warehouse.aurora == null ? var.warehouse.port : 5432
    # RDS takes no hyphen in it.
    database = local.made == null ? var.warehouse.database : replace(var.warehouse.database, "-", "_")
    # The certificate of Aurora is verified with the bundle of RDS, which is in the images.
    sslmode = coalesce(var.warehouse.sslmode, var.warehouse.aurora == null ? "require" : "verify-full")
  }

  warehouse_environment = {
    HEADRACE_WAREHOUSE_DSN = join(" ", compact([
      local.warehouse.host == null ? "" : "host=${local.warehouse.host}",
      local.warehouse.host == null ? "" : "port=${local.warehouse.port}",
      "dbname=${local.warehouse.database}",
      "sslmode=${local.warehouse.sslmode}",
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
