# An Aurora Serverless v2 cluster with Postgres: its password is made, kept and rotated by RDS, and
# is in no state file.

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

resource "aws_rds_cluster_parameter_group" "this" {
  name        = var.name
  family      = "aurora-postgresql${split(".", var.settings.engine_version)[0]}"
  description = "TLS only; slow statements and DDL are logged"

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
}

resource "aws_rds_cluster" "this" {
  #checkov:skip=CKV_AWS_139:It is protected unless settings.deletion_protection or destroy_with_data says otherwise; a test reads it from the plan.
  #checkov:skip=CKV_AWS_162:The services connect with a password that RDS rotates; a second way in, which nobody uses, stays shut.
  #checkov:skip=CKV2_AWS_8:Aurora backs itself up all the time, for backup_days; the lake can rebuild every table besides.
  cluster_identifier              = var.name
  engine                          = "aurora-postgresql"
  engine_version                  = var.settings.engine_version
  database_name                   = var.database
  master_username                 = "headrace"
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
  final_snapshot_identifier       = "${var.name}-final"
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
  count                           = var.settings.instances
  identifier                      = "${var.name}-${count.index}"
  cluster_identifier              = aws_rds_cluster.this.id
  engine                          = aws_rds_cluster.this.engine
  engine_version                  = aws_rds_cluster.this.engine_version
  instance_class                  = "db.serverless"
  auto_minor_version_upgrade      = true
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/rds/cluster/${var.name}/postgresql"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
