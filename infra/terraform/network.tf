# Your VPC, or one made here in which tasks reach AWS by endpoints alone, without NAT.

locals {
  # By the list's length, which is known in a plan that makes your VPC as well; an identifier is not.
  is_network_given = length(var.network.task_subnet_ids) > 0
}

module "network" {
  count              = local.is_network_given ? 0 : 1
  source             = "./modules/network"
  name               = var.name
  region             = local.region
  cidr_block         = var.network.cidr_block
  availability_zones = var.network.availability_zones
  public             = var.api_exposure.public
  nat                = var.network.nat
  log_retention_days = var.log_retention_days
  kms_key_arn        = var.kms_key_arn
}

data "aws_vpc" "given" {
  count = local.is_network_given ? 1 : 0
  id    = var.network.vpc_id
}

locals {
  network = local.is_network_given ? {
    vpc_id            = var.network.vpc_id
    cidr_block        = data.aws_vpc.given[0].cidr_block
    task_subnet_ids   = var.network.task_subnet_ids
    public_subnet_ids = var.network.public_subnet_ids
    } : {
    vpc_id            = module.network[0].vpc_id
    cidr_block        = var.network.cidr_block
    task_subnet_ids   = module.network[0].task_subnet_ids
    public_subnet_ids = module.network[0].public_subnet_ids
  }
}

locals {
  # By the rules' own attribute, so that no task starts before its group lets it out.
  task_security_group_ids = distinct([
    aws_vpc_security_group_egress_rule.aws.security_group_id,
    aws_vpc_security_group_egress_rule.warehouse.security_group_id,
  ])
  api_security_group_ids = concat(local.task_security_group_ids, [aws_vpc_security_group_ingress_rule.api_tasks.security_group_id])
}

resource "aws_security_group" "tasks" {
  #checkov:skip=CKV2_AWS_5:The services have it by the attribute of its rules, so that they wait for these; the check follows the group alone.
  name        = "${var.name}-tasks"
  description = "The services: they call, and are called by nobody"
  vpc_id      = local.network.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  security_group_id = aws_security_group.tasks.id
  description       = "AWS by TLS: endpoints of the VPC, S3 and DynamoDB by their gateways"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "warehouse" {
  security_group_id = aws_security_group.tasks.id
  description       = "The warehouse"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = local.warehouse.port
  to_port           = local.warehouse.port
}

resource "aws_security_group" "api_tasks" {
  #checkov:skip=CKV2_AWS_5:The API's tasks have it by the attribute of its rule, so that they wait for it; the check follows the group alone.
  name        = "${var.name}-api-tasks"
  description = "Tasks of the API: called by the load balancer alone"
  vpc_id      = local.network.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "api_tasks" {
  security_group_id            = aws_security_group.api_tasks.id
  description                  = "From the load balancer"
  referenced_security_group_id = aws_security_group.load_balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.api_port
  to_port                      = local.api_port
}

resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-api"
  description = "Load balancer of the API"
  vpc_id      = local.network.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "callers" {
  for_each          = toset(local.api_callers)
  security_group_id = aws_security_group.load_balancer.id
  description       = "Who may ask"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.has_tls ? 443 : 80
  to_port           = local.has_tls ? 443 : 80
}

resource "aws_vpc_security_group_egress_rule" "load_balancer" {
  security_group_id            = aws_security_group.load_balancer.id
  description                  = "To the tasks of the API"
  referenced_security_group_id = aws_security_group.api_tasks.id
  ip_protocol                  = "tcp"
  from_port                    = local.api_port
  to_port                      = local.api_port
}
