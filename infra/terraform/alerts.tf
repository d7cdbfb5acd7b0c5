# What wakes people: drops that ended badly, and alarms. One topic, so that one subscription hears all.

resource "aws_sns_topic" "alerts" {
  name              = "${var.name}-alerts"
  kms_master_key_id = var.kms_key_arn
}

data "aws_iam_policy_document" "alerts" {
  # Without a condition: a topic that EventBridge publishes to can have none (README, "Who may publish").
  statement {
    sid       = "RulesMayPublish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }

  statement {
    sid       = "AlarmsMayPublish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:${var.name}-*"]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.alerts.json
}

resource "aws_sns_topic_subscription" "emails" {
  for_each  = var.alert_emails
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  # Where a reader goes from a message; without an address, the way to it.
  drop_url = "${local.api_url}/v1/drops/<drop>"

  drop_paths = {
    what  = "$.detail-type"
    db    = "$.detail.drop.db_name"
    table = "$.detail.drop.table_name"
    file  = "$.detail.drop.key"
    drop  = "$.detail.drop.drop_id"
    time  = "$.time"
  }
}

# A rejected key may name no table: EventBridge leaves out what a path does not find.
module "ended_badly" {
  source          = "./modules/rule"
  name            = "${var.name}-ended-badly"
  description     = "Drops that were rejected, or failed for good, go to the alerts"
  bus_name        = aws_cloudwatch_event_bus.facts.name
  target_id       = "alerts"
  target_arn      = aws_sns_topic.alerts.arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern = {
    source = ["headrace"]
    "$or" = [
      { "detail-type" = ["Drop Rejected"] },
      { "detail-type" = ["Load Failed"], detail = { final = [true] } },
    ]
  }
  message = {
    paths = merge(local.drop_paths, {
      why    = "$.detail.reason.message"
      remedy = "$.detail.reason.remedy"
    })
    template = <<-TEXT
      "<what>: <db>.<table>"
      "File: s3://${module.lake.name}/<file>"
      "Why: <why>"
      "What to do: <remedy>"
      "Its story: ${local.drop_url} (<time>)"
    TEXT
  }
}

module "ended_well" {
  count           = var.alert_on_success ? 1 : 0
  source          = "./modules/rule"
  name            = "${var.name}-ended-well"
  description     = "Loaded drops go to the alerts"
  bus_name        = aws_cloudwatch_event_bus.facts.name
  target_id       = "alerts"
  target_arn      = aws_sns_topic.alerts.arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern         = { source = ["headrace"], "detail-type" = ["Load Succeeded"] }
  message = {
    paths = merge(local.drop_paths, {
      rows        = "$.detail.rows_loaded"
      quarantined = "$.detail.rows_quarantined"
    })
    template = <<-TEXT
      "<what>: <db>.<table>, <rows> rows, <quarantined> in quarantine"
      "File: s3://${module.lake.name}/<file>"
      "Its story: ${local.drop_url} (<time>)"
    TEXT
  }
}

# --- Alarms that belong to no single service -------------------------------------------------------

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  alarm_name          = "${var.name}-undelivered"
  alarm_description   = "Events could not be delivered to a queue or topic: look into ${aws_sqs_queue.undelivered.name}, mend the target's policy, and send them again (or run `headrace verify --repair`)."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.undelivered.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "differences" {
  alarm_name          = "${var.name}-differences"
  alarm_description   = "Lake, ledger, log and tables disagree on drops, and no repair mends it: `headrace verify` lists them, and so does the verifier's log (difference.found)."
  namespace           = "Headrace"
  metric_name         = "differences_left"
  dimensions          = { stack = var.name }
  statistic           = "Maximum"
  period              = var.verification_interval_seconds < 3600 ? 3600 : ceil(var.verification_interval_seconds / 60) * 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "log_throttled" {
  alarm_name          = "${var.name}-log-throttled"
  alarm_description   = "DynamoDB throttles writes to ${aws_dynamodb_table.log.name}: the log lags behind. Raise the table's limits, or lower the loader's maximum_tasks."
  namespace           = "AWS/DynamoDB"
  metric_name         = "WriteThrottleEvents"
  dimensions          = { TableName = aws_dynamodb_table.log.name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
