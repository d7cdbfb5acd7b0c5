# Each says in its description what to do.

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count               = var.inbox == null ? 0 : 1
  alarm_name          = "${local.full_name}-dead-letters"
  alarm_description   = "The ${var.name} gave a message up: its log (${aws_cloudwatch_log_group.this.name}) says why. Correct the cause, then move the messages back from ${aws_sqs_queue.dead[0].name} (SQS: start a redrive)."
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

# SQS leaves messages that were received three times out of the age above
# (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html):
# what comes back again and again shows here. A few of many are the day's work; half of them are not.
resource "aws_cloudwatch_metric_alarm" "retries" {
  count               = var.inbox == null ? 0 : 1
  alarm_name          = "${local.full_name}-retries"
  alarm_description   = "For ${var.inbox.oldest_message_minutes} minutes most deliveries to the ${var.name} have come back for another try (the datapoint is their share in percent): is what it needs reachable? Its log (${aws_cloudwatch_log_group.this.name}) has the cause in message.settled and the lines before."
  evaluation_periods  = max(1, ceil(var.inbox.oldest_message_minutes / 10))
  threshold           = 50
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.platform.alarm_topic_arn]
  ok_actions          = [var.platform.alarm_topic_arn]

  metric_query {
    id          = "share"
    expression  = "100 * retried / (retried + FILL(done, 0))"
    label       = "Deliveries that come back, in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = toset(["retried", "done"])
    content {
      id = metric_query.value

      metric {
        namespace   = "Headrace"
        metric_name = "messages"
        dimensions  = { stack = var.platform.name, service = var.name, outcome = metric_query.value }
        period      = 600
        stat        = "Sum"
      }
    }
  }
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
