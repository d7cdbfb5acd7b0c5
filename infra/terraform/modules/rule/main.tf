# Events that match a pattern go to one target; what it would not take goes to the dead letters.

resource "aws_cloudwatch_event_rule" "this" {
  name           = var.name
  description    = var.description
  event_bus_name = var.bus_name
  event_pattern  = jsonencode(var.pattern)
}

resource "aws_cloudwatch_event_target" "this" {
  rule           = aws_cloudwatch_event_rule.this.name
  event_bus_name = var.bus_name
  target_id      = var.target_id
  arn            = var.target_arn

  dead_letter_config {
    arn = var.dead_letter_arn
  }

  # EventBridge's own limits, said: a day and 185 tries
  # (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html).
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dynamic "input_transformer" {
    for_each = var.message == null ? [] : [var.message]
    content {
      input_paths    = input_transformer.value.paths
      input_template = input_transformer.value.template
    }
  }
}
