# The verifier: compares lake, ledger, log and tables at an interval, and publishes what is missing.

module "verifier" {
  source      = "./modules/service"
  name        = "verifier"
  platform    = local.platform
  size        = local.services.verifier
  policy_json = data.aws_iam_policy_document.verifier.json

  environment = merge(local.common_environment, local.warehouse_environment, local.key_environment, var.lake_since == null ? {} : {
    HEADRACE_LAKE_SINCE = var.lake_since
    }, {
    HEADRACE_BUS_NAME         = aws_cloudwatch_event_bus.facts.name
    HEADRACE_LAKE_BUCKET      = local.lake.name
    HEADRACE_LOG_TABLE        = aws_dynamodb_table.log.name
    HEADRACE_LOG_EXPIRY_DAYS  = tostring(var.log_expiry_days)
    HEADRACE_INTERVAL_SECONDS = tostring(var.verification_interval_seconds)
    HEADRACE_WAREHOUSE_SECRET = local.warehouse.secret_arn
  })
}

data "aws_iam_policy_document" "verifier" {
  source_policy_documents = [data.aws_iam_policy_document.warehouse_secret.json]

  statement {
    sid       = "PublishFacts"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.facts.arn]
  }

  statement {
    sid       = "ListTheLake"
    actions   = ["s3:ListBucketVersions"]
    resources = [local.lake.arn]
  }

  statement {
    sid       = "ReadTheLog"
    actions   = ["dynamodb:Scan", "dynamodb:BatchGetItem"]
    resources = [aws_dynamodb_table.log.arn]
  }

  statement {
    sid       = "ReadWhatHasNotEnded"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.log.arn}/index/*"]
  }
}
