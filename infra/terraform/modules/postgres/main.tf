# An Aurora Serverless v2 cluster with Postgres. The master user's password is made, kept and rotated by
# RDS, and is in no state. The services do not use it: they have a role of their own.

locals {
  # With a major version alone AWS chooses the minor one, now and at each upgrade. A minor version that is
  # named here stays: an upgrade by AWS would make the next plan a downgrade, which RDS refuses.
  major_version  = split(".", var.settings.engine_version)[0]
  is_minor_named = local.major_version != var.settings.engine_version
}

# What is left behind must not have the name of what an earlier stack left behind.
resource "terraform_data" "incarnation" {}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = var.name
  description = "The warehouse: Postgres, for the services alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "services" {
  security_group_id            = aws_security_group.this.id
  description                  = "Postgres from the services"
  referenced_security_group_id = var.client_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

# Another major version needs a group of another family, beside the one that is still in use.
resource "aws_rds_cluster_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "aurora-postgresql${local.major_version}"
  description = "TLS only; slow statements and DDL are logged, refused values are not"

  lifecycle {
    create_before_destroy = true
  }

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "5000"
  }

  # What Postgres says of a value that it refuses repeats the value (docs/warehouse.md).
  parameter {
    name  = "log_min_messages"
    value = "log"
  }

  parameter {
    name  = "log_min_error_statement"
    value = "panic"
  }

  parameter {
    name  = "log_error_verbosity"
    value = "terse"
  }

  # Slow statements are logged without the values that they were given.
  parameter {
    name  = "log_parameter_max_length"
    value = "0"
  }

  parameter {
    name  = "log_parameter_max_length_on_error"
    value = "0"
  }
}

resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV_AWS_139:It is protected unless settings.deletion_protection or destroy_with_data says otherwise; a test reads it from the plan.
  #checkov:skip=CKV_AWS_133:settings.backup_days is 7 by default; the check does not follow it through an optional object. A test reads the plan.
  #checkov:skip=CKV_AWS_162:The services connect with passwords from Secrets Manager; a second way in, which none of them uses, stays shut.
  #checkov:skip=CKV2_AWS_8:Aurora backs itself up all the time, for backup_days; the lake can rebuild every table besides.
  cluster_identifier              = var.name
  engine                          = "aurora-postgresql"
  engine_version                  = var.settings.engine_version
  database_name                   = var.database
  allow_major_version_upgrade     = true
  master_username                 = "administrator"
  manage_master_user_password     = true
  master_user_secret_kms_key_id   = var.kms_key_arn
  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name
  storage_encrypted               = true
  kms_key_id                      = var.kms_key_arn
  backup_retention_period         = var.settings.backup_days
  copy_tags_to_snapshot           = true
  deletion_protection             = var.settings.deletion_protection && !var.skip_final_snapshot
  skip_final_snapshot             = var.skip_final_snapshot
  final_snapshot_identifier       = "${var.name}-final-${substr(terraform_data.incarnation.id, 0, 8)}"
  enabled_cloudwatch_logs_exports = ["postgresql"]

  serverlessv2_scaling_configuration {
    min_capacity             = var.settings.minimum_acus
    max_capacity             = var.settings.maximum_acus
    seconds_until_auto_pause = var.settings.minimum_acus == 0 ? 300 : null
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_rds_cluster_instance" "this" {
  #checkov:skip=CKV_AWS_118:It shows the operating system of a machine that nobody here sizes; Performance Insights is on.
  #checkov:skip=CKV_AWS_226:On unless engine_version names a minor version, which an upgrade by AWS would contradict. A test reads it from the plan.
  count                      = var.settings.instances
  identifier                 = "${var.name}-${count.index}"
  cluster_identifier         = aws_rds_cluster.this.id
  engine                     = aws_rds_cluster.this.engine
  instance_class             = "db.serverless"
  auto_minor_version_upgrade = !local.is_minor_named
  # From tier 2 on an instance scales by its own load instead of the writer's: no service reads from it.
  promotion_tier                  = count.index == 0 ? 0 : 2
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/rds/cluster/${var.name}/postgresql"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
