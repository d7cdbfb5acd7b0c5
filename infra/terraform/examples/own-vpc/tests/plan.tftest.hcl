# The example is made with what its terraform.tfvars.example sets.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  region                      = "us-east-1"
  databases                   = ["dev"]
  image_registry              = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
  image_tag                   = "1"
  vpc_id                      = "vpc-0123456789abcdef0"
  task_subnet_ids             = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  warehouse_secret_arn        = "arn:aws:secretsmanager:us-east-1:111122223333:secret:warehouse-AbCdEf"
  warehouse_host              = "warehouse.abcdefghijkl.us-east-1.rds.amazonaws.com"
  warehouse_port              = 6432
  warehouse_security_group_id = "sg-0123456789abcdef0"
}

run "made" {
  assert {
    condition     = aws_vpc_security_group_ingress_rule.warehouse.referenced_security_group_id == module.headrace.task_security_group_id && aws_vpc_security_group_ingress_rule.warehouse.to_port == 6432
    error_message = "The tasks are let into the Postgres."
  }

  assert {
    condition     = module.headrace.prepare_warehouse == null && module.headrace.warehouse_secret_arn == var.warehouse_secret_arn
    error_message = "The role of the services is yours."
  }
}
