output "lake_bucket" {
  description = "Drop files here, at `db_name/action/table_name/file`."
  value       = local.lake.name
}

output "quarantine_bucket" {
  description = "Bad rows are kept here."
  value       = module.quarantine.name
}

output "bus_name" {
  description = "The bus of facts: hang rules of your own on it."
  value       = aws_cloudwatch_event_bus.facts.name
}

output "log_table" {
  description = "The DynamoDB table with the story of every drop."
  value       = aws_dynamodb_table.log.name
}

output "keys_table" {
  description = "The DynamoDB table of the API's keys: `headrace keys create --table` takes it."
  value       = aws_dynamodb_table.keys.name
}

output "api_url" {
  description = "Where the API answers."
  value       = local.api_url
}

output "load_balancer_dns_name" {
  description = "The load balancer's own name, for a DNS record of yours."
  value       = aws_lb.api.dns_name
}

output "load_balancer_zone_id" {
  description = "The Route 53 zone of the load balancer, for an alias record of yours."
  value       = aws_lb.api.zone_id
}

output "inboxes" {
  description = "Service -> URL of its inbox."
  value       = { router = module.router.inbox_url, loader = module.loader.inbox_url, logger = module.logger.inbox_url }
}

output "dead_letter_queues" {
  description = "Service -> URL of its dead-letter queue; `bus`: what no rule's target would take."
  value = {
    router = module.router.dead_letters_url
    loader = module.loader.dead_letters_url
    logger = module.logger.dead_letters_url
    bus    = aws_sqs_queue.undelivered.url
  }
}

output "cluster_name" {
  description = "The ECS cluster that the services run in."
  value       = aws_ecs_cluster.this.name
}

output "log_groups" {
  description = "Service -> its log group in CloudWatch."
  value       = { for name, service in local.service_modules : name => service.log_group }
}

output "task_role_arns" {
  description = "Service -> the role of its tasks, for policies of your own (a bucket of another account, say)."
  value       = { for name, service in local.service_modules : name => service.task_role_arn }
}

output "warehouse_secret_arn" {
  description = "The secret that the loader connects with."
  value       = local.warehouse.secret_arn
}

output "alert_topic_arn" {
  description = "The topic of alerts and alarms: subscribe what you like (chat, pager)."
  value       = aws_sns_topic.alerts.arn
}

output "task_security_group_id" {
  description = "Security group of the tasks: let it into your Postgres."
  value       = aws_security_group.tasks.id
}

output "task_subnet_ids" {
  description = "Subnets of the tasks, for a task of your own beside them."
  value       = local.network.task_subnet_ids
}

output "task_definition_arns" {
  description = "Service -> its task definition, for a task of your own with its image and rights (README, Recipes)."
  value       = { for name, service in local.service_modules : name => service.task_definition_arn }
}

output "run_task" {
  description = "Command that runs a task beside the services and waits for its end; add a service, `--`, and the module to run with its arguments (README, Recipes)."
  value       = local.run_task
}

output "prepare_warehouse" {
  description = "For an Aurora made here: `command` makes the role of the services in it, run once and again when `revision` changes. null: the warehouse is yours."
  value       = one(local.preparations)

  # What the task needs when it runs. The loader's service is not awaited: it comes up without the role.
  depends_on = [aws_iam_role_policy.prepare]
}

output "dashboard_url" {
  description = "The CloudWatch dashboard."
  value       = "https://${local.region}.console.aws.amazon.com/cloudwatch/home?region=${local.region}#dashboards/dashboard/${var.name}"
}

locals {
  service_modules = {
    router   = module.router
    loader   = module.loader
    logger   = module.logger
    api      = module.api
    verifier = module.verifier
  }
}
