output "arn" {
  description = "ARN of the rule, for the policy of its target."
  value       = aws_cloudwatch_event_rule.this.arn
}
