output "inbox_arn" {
  description = "ARN of the inbox; null without one."
  value       = one(aws_sqs_queue.inbox[*].arn)
}

output "inbox_url" {
  description = "URL of the inbox; null without one."
  value       = one(aws_sqs_queue.inbox[*].url)
}

output "inbox_name" {
  description = "Name of the inbox; null without one."
  value       = one(aws_sqs_queue.inbox[*].name)
}

output "dead_letters_url" {
  description = "URL of the dead-letter queue; null without one."
  value       = one(aws_sqs_queue.dead[*].url)
}

output "dead_letters_arn" {
  description = "ARN of the dead-letter queue; null without one."
  value       = one(aws_sqs_queue.dead[*].arn)
}

output "dead_letters_name" {
  description = "Name of the dead-letter queue; null without one."
  value       = one(aws_sqs_queue.dead[*].name)
}

output "task_definition_arn" {
  description = "ARN of the task definition that the service runs."
  value       = aws_ecs_task_definition.this.arn
}

output "log_group" {
  description = "Name of the service's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "task_role_arn" {
  description = "ARN of the role that its tasks have."
  value       = aws_iam_role.task.arn
}
