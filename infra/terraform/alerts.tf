# What wakes people: alarms, a deployment that failed, and single drops where that is asked for. One topic,
# so that one subscription gets all.

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
  count           = contains(var.alert_each_drop, "rejected") ? 1 : 0
  source          = "./modules/rule"
  name            = "${var.name}-ended-badly"
  description     = "Each drop that was rejected, or failed for good, goes to the alerts"
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
      "File: s3://${local.lake.name}/<file>"
      "Why: <why>"
      "What to do: <remedy>"
      "Its states: ${local.drop_url} (<time>)"
    TEXT
  }
}

module "ended_well" {
  count           = contains(var.alert_each_drop, "loaded") ? 1 : 0
  source          = "./modules/rule"
  name            = "${var.name}-ended-well"
  description     = "Each loaded drop goes to the alerts"
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
      "File: s3://${local.lake.name}/<file>"
      "Its states: ${local.drop_url} (<time>)"
    TEXT
  }
}

# Terraform's wait does not see that the first deployment of all fails, and a later one may fail when
# Terraform is long gone (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html).
module "deployment_failed" {
  source          = "./modules/rule"
  name            = "${var.name}-deployment-failed"
  description     = "A deployment whose tasks did not become healthy goes to the alerts"
  target_id       = "alerts"
  target_arn      = aws_sns_topic.alerts.arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern = {
    source        = ["aws.ecs"]
    "detail-type" = ["ECS Deployment State Change"]
    resources     = [{ prefix = "arn:${local.partition}:ecs:${local.region}:${local.account}:service/${var.name}/" }]
    detail        = { eventName = ["SERVICE_DEPLOYMENT_FAILED"] }
  }
  message = {
    paths    = { service = "$.resources[0]", why = "$.detail.reason", time = "$.time" }
    template = <<-TEXT
      "A deployment failed: <service>"
      "Why: <why> (<time>)"
      "What to do: read the service's events (aws ecs describe-services) and its log (/headrace/${var.name}/...), correct the cause, apply again."
    TEXT
  }
}

# --- Alarms that belong to no single service -------------------------------------------------------

# One message for all that ended badly within five minutes, with their number.
resource "aws_cloudwatch_metric_alarm" "ended_badly" {
  alarm_name          = "${var.name}-ended-badly"
  alarm_description   = "Drops were rejected, or failed for good; the datapoint is their number. Which files, why and what to do: ${local.api_url}/attention in a browser, ${local.api_url}/v1/drops?state=rejected and ?state=failed for programs, or `headrace replay` and `headrace status` where the API is reached."
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]

  metric_query {
    id          = "drops"
    expression  = "FILL(rejected, 0) + FILL(failed, 0)"
    label       = "Drops that were rejected or failed"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = toset(local.bad_states)
    content {
      id = metric_query.value

      metric {
        namespace   = "Headrace"
        metric_name = "drops"
        dimensions  = { stack = var.name, state = metric_query.value }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  alarm_name          = "${var.name}-undelivered"
  alarm_description   = "Events could not be delivered to a queue or topic: look into ${aws_sqs_queue.undelivered.name} and correct the target's policy. The next verification finds the drops and routes them again (at once: README, Recipes)."
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
  alarm_description   = "Lake, ledger, log and tables disagree on drops, and no repair removes the difference: the verifier's log lists them (difference.found)."
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

# By the table, and by each index: a hot partition is an index's, for example of one table's drops
# (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html).
resource "aws_cloudwatch_metric_alarm" "log_throttled" {
  for_each            = toset(concat(["table"], keys(local.log_indexes)))
  alarm_name          = "${var.name}-log-throttled-${each.value}"
  alarm_description   = "DynamoDB throttles writes to ${aws_dynamodb_table.log.name} (${each.value == "table" ? "the table" : "its index ${each.value}"}): the log lags behind. Raise the table's limits, or lower the loader's maximum_tasks."
  namespace           = "AWS/DynamoDB"
  metric_name         = "WriteThrottleEvents"
  dimensions          = merge({ TableName = aws_dynamodb_table.log.name }, each.value == "table" ? {} : { GlobalSecondaryIndexName = each.value })
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
