# The one queue that the service reads, and where messages go that it could not handle.

resource "aws_sqs_queue" "inbox" {
  count                             = var.inbox == null ? 0 : 1
  name                              = local.full_name
  visibility_timeout_seconds        = var.inbox.visibility_seconds
  message_retention_seconds         = var.inbox.retention_seconds
  receive_wait_time_seconds         = local.poll_seconds
  sqs_managed_sse_enabled           = var.platform.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.platform.kms_key_arn
  kms_data_key_reuse_period_seconds = 300

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[0].arn
    maxReceiveCount     = var.inbox.maximum_receives
  })

  lifecycle {
    precondition {
      condition     = var.inbox.visibility_seconds >= 15
      error_message = "A heartbeat comes after a third of the visibility; below 15 s one slow call would lose a message."
    }
  }
}

resource "aws_sqs_queue" "dead" {
  count                             = var.inbox == null ? 0 : 1
  name                              = "${local.full_name}-dead"
  message_retention_seconds         = var.inbox.dead_retention_seconds
  visibility_timeout_seconds        = var.inbox.visibility_seconds
  sqs_managed_sse_enabled           = var.platform.kms_key_arn == null ? true : null
  kms_master_key_id                 = var.platform.kms_key_arn
  kms_data_key_reuse_period_seconds = 300

  lifecycle {
    precondition {
      # A message keeps its age when it moves: a shorter retention would delete it on arrival.
      condition     = var.inbox.dead_retention_seconds > var.inbox.retention_seconds
      error_message = "Dead letters must be kept longer than messages of the inbox."
    }
  }
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  count     = var.inbox == null ? 0 : 1
  queue_url = aws_sqs_queue.dead[0].url

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.inbox[0].arn]
  })
}

data "aws_iam_policy_document" "inbox" {
  count = var.inbox == null ? 0 : 1

  statement {
    sid       = "EventBridgeRulesMaySend"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.inbox[0].arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = var.inbox.rule_arns
    }
  }
}

resource "aws_sqs_queue_policy" "inbox" {
  count     = var.inbox == null ? 0 : 1
  queue_url = aws_sqs_queue.inbox[0].url
  policy    = data.aws_iam_policy_document.inbox[0].json
}
