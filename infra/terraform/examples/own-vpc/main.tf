# Headrace in a VPC that is there, for a Postgres that is there.

provider "aws" {
  region = var.region

  default_tags {
    tags = { Application = "headrace", Stack = var.name }
  }
}

module "headrace" {
  source         = "../.."
  name           = var.name
  databases      = var.databases
  image_registry = var.image_registry
  image_tag      = var.image_tag
  alert_emails   = var.alert_emails

  network = {
    vpc_id          = var.vpc_id
    task_subnet_ids = var.task_subnet_ids
  }

  # RDS keeps host and port out of the secret that it makes itself, so they are given here.
  warehouse = {
    secret_arn = var.warehouse_secret_arn
    host       = var.warehouse_host
    port       = var.warehouse_port
    database   = var.warehouse_database
    sslmode    = "verify-full"
  }
}

# The services reach the Postgres through its own security group.
resource "aws_vpc_security_group_ingress_rule" "warehouse" {
  security_group_id            = var.warehouse_security_group_id
  description                  = "Postgres from the tasks of ${var.name}"
  referenced_security_group_id = module.headrace.task_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.warehouse_port
  to_port                      = var.warehouse_port
}
