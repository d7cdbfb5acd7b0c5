# Who hears what. Services publish facts to the bus and know nothing of each other: adding a
# service is adding an inbox and a rule. The rules for the default bus, for it is there that S3 tells.

resource "aws_cloudwatch_event_bus" "facts" {
  name               = var.name
  kms_key_identifier = var.kms_key_arn

  # A fact that the key could not be used for
  # (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-dlq.html).
  dynamic "dead_letter_config" {
    for_each = var.kms_key_arn == null ? [] : [aws_sqs_queue.undelivered.arn]
    content {
      arn = dead_letter_config.value
    }
  }
}

# What a rule's target would not take for 24 hours. Nothing in Headrace empties it: an alarm rings.
resource "aws_sqs_queue" "undelivered" {
  name                              = "${var.name}-undelivered"
  message_retention_seconds         = 1209600
  sqs_managed_sse_enabled           = var.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 300
}

locals {
  rules = merge(
    {
      lake       = module.landed.arn
      replay     = module.replayed.arn
      loader     = module.routed.arn
      logger     = module.logged.arn
      deployment = module.deployment_failed.arn
    },
    { for rule in module.ended_badly : "badly" => rule.arn },
    { for rule in module.ended_well : "well" => rule.arn },
  )
}

data "aws_iam_policy_document" "undelivered" {
  statement {
    sid       = "RulesMayLeaveWhatTheirTargetsRefuse"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.undelivered.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = concat(values(local.rules), var.kms_key_arn == null ? [] : [aws_cloudwatch_event_bus.facts.arn])
    }
  }
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.url
  policy    = data.aws_iam_policy_document.undelivered.json
}

# A replay of the archive brings facts again, in any order: every service takes them so.
resource "aws_cloudwatch_event_archive" "facts" {
  name             = var.name
  description      = "Every fact, for a replay after a fault"
  event_source_arn = aws_cloudwatch_event_bus.facts.arn
  retention_days   = var.archive_days
}

module "landed" {
  source          = "./modules/rule"
  name            = "${var.name}-lake"
  description     = "What lands in the lake goes to the router"
  target_id       = "router"
  target_arn      = module.router.inbox_arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern = {
    source        = ["aws.s3"]
    "detail-type" = ["Object Created"]
    detail        = { bucket = { name = [local.lake.name] } }
  }
}

module "replayed" {
  source          = "./modules/rule"
  name            = "${var.name}-replay"
  description     = "What somebody asked for again goes to the router"
  bus_name        = aws_cloudwatch_event_bus.facts.name
  target_id       = "router"
  target_arn      = module.router.inbox_arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern         = { source = ["headrace"], "detail-type" = ["Replay Requested"] }
}

module "routed" {
  source          = "./modules/rule"
  name            = "${var.name}-loader"
  description     = "Routed drops, and drops to be reverted, go to the loader"
  bus_name        = aws_cloudwatch_event_bus.facts.name
  target_id       = "loader"
  target_arn      = module.loader.inbox_arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern         = { source = ["headrace"], "detail-type" = ["Drop Routed", "Revert Requested"] }
}

module "logged" {
  source          = "./modules/rule"
  name            = "${var.name}-logger"
  description     = "Every fact goes to the logger"
  bus_name        = aws_cloudwatch_event_bus.facts.name
  target_id       = "logger"
  target_arn      = module.logger.inbox_arn
  dead_letter_arn = aws_sqs_queue.undelivered.arn
  pattern         = { source = ["headrace"] }
}
