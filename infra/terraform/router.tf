# The router: says of every object that lands whether and where it is to be loaded. It reads events
# only, never files.

module "router" {
  source      = "./modules/service"
  name        = "router"
  platform    = local.platform
  size        = local.services.router
  policy_json = data.aws_iam_policy_document.router.json

  inbox = {
    rule_arns              = [local.rules.lake, local.rules.replay]
    maximum_receives       = 10
    oldest_message_minutes = var.oldest_message_minutes
  }

  environment = merge(local.common_environment, local.key_environment, {
    HEADRACE_BUS_NAME  = aws_cloudwatch_event_bus.facts.name
    HEADRACE_DATABASES = join(",", sort(var.databases))
  })
}

locals {
  # Which objects are drops: router and verifier have to agree on it.
  key_environment = {
    HEADRACE_ROUTES = jsonencode(var.routes)
    HEADRACE_LAYOUT = tostring(var.own_layout)
  }
}

data "aws_iam_policy_document" "router" {
  statement {
    sid       = "PublishFacts"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.facts.arn]
  }
}
