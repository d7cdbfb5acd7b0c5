# Each says in its description what to do.

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count               = var.inbox == null ? 0 : 1
  alarm_name          = "${local.full_name}-dead-letters"
  alarm_description   = "The ${var.name} gave a message up: its log (${aws_cloudwatch_log_group.this.name}) says why. Mend the cause, then move the messages back from ${aws_sqs_queue.dead[0].name} (SQS: start a redrive)."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead[0].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.platform.alarm_topic_arn]
  ok_actions          = [var.platform.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  count               = var.inbox == null ? 0 : 1
  alarm_name          = "${local.full_name}-oldest-message"
  alarm_description   = "A message has waited ${var.inbox.oldest_message_minutes} minutes for the ${var.name}: is it running, is what it needs reachable, is maximum_tasks too small?"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.inbox[0].name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  threshold           = var.inbox.oldest_message_minutes * 60
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.platform.alarm_topic_arn]
  ok_actions          = [var.platform.alarm_topic_arn]
}

# Counted from the service's own log lines (docs/metrics.md).
resource "aws_cloudwatch_metric_alarm" "bugs" {
  alarm_name          = "${local.full_name}-bugs"
  alarm_description   = "The ${var.name} met what it does not know how to handle. Its log (${aws_cloudwatch_log_group.this.name}) has the traceback, at level error."
  namespace           = "Headrace"
  metric_name         = "bugs"
  dimensions          = { stack = var.platform.name, service = var.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.platform.alarm_topic_arn]
  ok_actions          = [var.platform.alarm_topic_arn]
}
