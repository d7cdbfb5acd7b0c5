output "lake_bucket" {
  description = "Drop files here, at `db_name/action/table_name/file`."
  value       = module.lake.name
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
