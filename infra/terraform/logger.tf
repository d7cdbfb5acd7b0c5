# The logger: writes every fact into the log. It hears the bus and speaks to nobody.

module "logger" {
  source      = "./modules/service"
  name        = "logger"
  platform    = local.platform
  size        = local.services.logger
  policy_json = data.aws_iam_policy_document.logger.json

  inbox = {
    rule_arns              = [local.rules.logger]
    maximum_receives       = 10
    oldest_message_minutes = var.oldest_message_minutes
  }

  environment = merge(local.common_environment, {
    HEADRACE_BUS_NAME        = aws_cloudwatch_event_bus.facts.name
    HEADRACE_LOG_TABLE       = aws_dynamodb_table.log.name
    HEADRACE_LOG_EXPIRY_DAYS = tostring(var.log_expiry_days)
  })
}

data "aws_iam_policy_document" "logger" {
  statement {
    sid       = "WriteTheLog"
    actions   = ["dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.log.arn]
  }
}
