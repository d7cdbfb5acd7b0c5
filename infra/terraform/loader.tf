# The loader: carries the rows of a routed drop into the warehouse, exactly once.

module "loader" {
  source      = "./modules/service"
  name        = "loader"
  platform    = local.platform
  size        = local.services.loader
  scratch_gib = 50
  policy_json = data.aws_iam_policy_document.loader.json

  inbox = {
    rule_arns = [local.rules.loader]
    # More than the others': data that waits for its contract comes back many times.
    maximum_receives       = 20
    oldest_message_minutes = var.oldest_message_minutes
  }

  environment = merge(local.common_environment, local.warehouse_environment, {
    HEADRACE_BUS_NAME          = aws_cloudwatch_event_bus.facts.name
    HEADRACE_LAKE_BUCKET       = local.lake.name
    HEADRACE_QUARANTINE_BUCKET = module.quarantine.name
    HEADRACE_INFER_DATABASES   = join(",", sort(var.contracts_inferred_for))
    HEADRACE_WAREHOUSE_SECRET  = local.warehouse.secret_arn
  })
}

data "aws_iam_policy_document" "loader" {
  source_policy_documents = [data.aws_iam_policy_document.warehouse_secret.json]

  statement {
    sid       = "PublishFacts"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.facts.arn]
  }

  statement {
    sid       = "ReadDrops"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${local.lake.arn}/*"]
  }

  # To find the version of a drop whose event named none; and S3 tells a missing file from a
  # forbidden one only to those who may list.
  statement {
    sid       = "FindVersions"
    actions   = ["s3:ListBucket", "s3:ListBucketVersions"]
    resources = [local.lake.arn]
  }

  statement {
    sid       = "KeepBadRows"
    actions   = ["s3:PutObject"]
    resources = ["${module.quarantine.arn}/*"]
  }

  dynamic "statement" {
    for_each = length(var.contracts_inferred_for) > 0 ? [1] : []
    content {
      sid       = "DropInferredContracts"
      actions   = ["s3:PutObject"]
      resources = [for db in var.contracts_inferred_for : "${local.lake.arn}/${db}/schema/*/inferred.json"]
    }
  }
}
