# The API: answers for every drop and table. Behind a load balancer that is internal unless asked.

module "api" {
  source      = "./modules/service"
  name        = "api"
  platform    = merge(local.platform, { security_group_ids = local.api_security_group_ids })
  size        = local.services.api
  port        = local.api_port
  policy_json = data.aws_iam_policy_document.api.json
  secrets     = { HEADRACE_CURSOR_SECRET = coalesce(var.cursor_secret.arn, one(module.cursor_secret[*].arn)) }

  environment = merge(local.common_environment, local.warehouse_environment, {
    HEADRACE_LOG_TABLE  = aws_dynamodb_table.log.name
    HEADRACE_KEYS_TABLE = aws_dynamodb_table.keys.name
    HEADRACE_API_HOST   = "0.0.0.0"
    HEADRACE_API_PORT   = tostring(local.api_port)
    # What it needs to ask for replays, to show bad rows, and to show and move dead letters.
    HEADRACE_BUS_NAME           = aws_cloudwatch_event_bus.facts.name
    HEADRACE_QUARANTINE_BUCKET  = module.quarantine.name
    HEADRACE_DEAD_LETTER_QUEUES = join(",", [for name, one in local.with_inbox : "${name}=${one.dead_letters_url}"])
    HEADRACE_INBOXES            = join(",", [for name, one in local.with_inbox : "${name}=${one.inbox_url}"])
    # A user of its own, who only reads, where one is given.
    HEADRACE_WAREHOUSE_SECRET = local.warehouse.api_secret_arn
  })

  # From the listener, for a service cannot be put behind a target group that no listener uses. A
  # depends_on would hold back every data source of the module, so that a change of the network showed
  # as a change of roles, too.
  target_group_arn = aws_lb_listener.api.default_action[0].target_group_arn
}

data "aws_iam_policy_document" "api" {
  statement {
    sid       = "ReadTheWarehousesSecret"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [local.warehouse.api_secret_arn]
  }

  dynamic "statement" {
    for_each = var.warehouse.secret_kms_key_arn == null ? [] : [var.warehouse.secret_kms_key_arn]
    content {
      sid       = "DecryptTheWarehousesSecret"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "ReadDropsOfTheLog"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.log.arn]
  }

  statement {
    sid       = "ListDropsOfTheLog"
    actions   = ["dynamodb:Query"]
    resources = ["${aws_dynamodb_table.log.arn}/index/*"]
  }

  # Of requests that may be repeated; of nothing else: it writes no drop.
  statement {
    sid       = "RememberAnswers"
    actions   = ["dynamodb:PutItem"]
    resources = [aws_dynamodb_table.log.arn]

    condition {
      test     = "ForAllValues:StringLike"
      variable = "dynamodb:LeadingKeys"
      values   = ["answer#*"]
    }
  }

  statement {
    sid       = "AskForReplays"
    actions   = ["events:PutEvents"]
    resources = [aws_cloudwatch_event_bus.facts.arn]
  }

  statement {
    sid       = "ReadBadRows"
    actions   = ["s3:GetObject"]
    resources = ["${module.quarantine.arn}/*"]
  }

  # S3 tells a missing file from a forbidden one only to those who may list.
  statement {
    sid       = "TellThatThereAreNone"
    actions   = ["s3:ListBucket"]
    resources = [module.quarantine.arn]
  }

  statement {
    sid = "LookAtDeadLetters"
    actions = [
      "sqs:ReceiveMessage",
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:GetQueueAttributes",
      "sqs:StartMessageMoveTask",
      "sqs:ListMessageMoveTasks",
    ]
    resources = [for one in local.with_inbox : one.dead_letters_arn]
  }

  statement {
    sid       = "BringThemBack"
    actions   = ["sqs:SendMessage"]
    resources = [for one in local.with_inbox : one.inbox_arn]
  }

  statement {
    sid       = "KnowCallersByTheirKeys"
    actions   = ["dynamodb:GetItem"]
    resources = [aws_dynamodb_table.keys.arn]
  }

  statement {
    sid       = "NoteWhenKeysWereUsed"
    actions   = ["dynamodb:UpdateItem"]
    resources = [aws_dynamodb_table.keys.arn]
  }
}

# Signs the cursors of pages, the same in every task.
module "cursor_secret" {
  count         = var.cursor_secret.arn == null ? 1 : 0
  source        = "./modules/secret"
  name          = "${var.name}/api-cursors"
  description   = "Signs the cursors of pages of the API: when it changes, open pages begin anew"
  generation    = var.cursor_secret.generation
  recovery_days = var.destroy_with_data ? 0 : 7
  kms_key_arn   = var.kms_key_arn
}

# --- The load balancer ----------------------------------------------------------------------------

locals {
  with_inbox = { router = module.router, loader = module.loader, logger = module.logger }

  api_port = 8080
  has_tls  = var.api_exposure.certificate_arn != null
  api_url  = coalesce(var.api_exposure.url, "${local.has_tls ? "https" : "http"}://${aws_lb.api.dns_name}")
  # Without a list, who is inside the VPC.
  api_callers = length(var.api_exposure.allowed_cidrs) > 0 ? var.api_exposure.allowed_cidrs : [local.network.cidr_block]
}

resource "aws_lb" "api" {
  #checkov:skip=CKV_AWS_150:It is protected unless api_exposure.deletion_protection or destroy_with_data says otherwise; a test reads it from the plan.
  #checkov:skip=CKV_AWS_91:On where api_exposure.access_log_bucket names a bucket. One is not made here: the API logs every request itself.
  #checkov:skip=CKV2_AWS_76:The rule group known-bad-inputs below has the Log4j rule; the check does not follow its count. An internal API has no WAF.
  name                       = "${var.name}-api"
  internal                   = !var.api_exposure.public
  load_balancer_type         = "application"
  subnets                    = var.api_exposure.public ? local.network.public_subnet_ids : local.network.task_subnet_ids
  security_groups            = [aws_security_group.load_balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.api_exposure.deletion_protection && !var.destroy_with_data

  dynamic "access_logs" {
    for_each = var.api_exposure.access_log_bucket == null ? [] : [var.api_exposure.access_log_bucket]
    content {
      bucket  = access_logs.value
      prefix  = "${var.name}-api"
      enabled = true
    }
  }

  lifecycle {
    precondition {
      condition     = !var.api_exposure.public || length(local.network.public_subnet_ids) >= 2
      error_message = "A public API needs two public_subnet_ids in your network."
    }
  }
}

resource "aws_lb_target_group" "api" {
  name                 = "${var.name}-api"
  port                 = local.api_port
  protocol             = "HTTP"
  target_type          = "ip"
  vpc_id               = local.network.vpc_id
  deregistration_delay = 30

  # Alive, rather than ready: the API answers, and says why, while the warehouse is away.
  health_check {
    path                = "/healthz"
    matcher             = "200"
    interval            = 15
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener" "api" {
  load_balancer_arn = aws_lb.api.arn
  port              = local.has_tls ? 443 : 80
  protocol          = local.has_tls ? "HTTPS" : "HTTP"
  certificate_arn   = var.api_exposure.certificate_arn
  ssl_policy        = local.has_tls ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_route53_record" "api" {
  count   = var.api_exposure.route53_zone_id == null ? 0 : 1
  zone_id = var.api_exposure.route53_zone_id
  name    = trimprefix(var.api_exposure.url, "https://")
  type    = "A"

  alias {
    name                   = aws_lb.api.dns_name
    zone_id                = aws_lb.api.zone_id
    evaluate_target_health = false
  }
}

# --- On the internet only ---------------------------------------------------------------------------

resource "aws_wafv2_web_acl" "api" {
  count       = var.api_exposure.public ? 1 : 0
  name        = "${var.name}-api"
  description = "So many requests in five minutes from one address, and nothing that AWS knows as an attack"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 1

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit              = var.api_exposure.requests_per_5_minutes
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-api-rate"
      sampled_requests_enabled   = true
    }
  }

  rule {
    name     = "known-bad-inputs"
    priority = 2

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesKnownBadInputsRuleSet"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-api-known-bad-inputs"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "${var.name}-api"
    sampled_requests_enabled   = true
  }
}

resource "aws_wafv2_web_acl_association" "api" {
  count        = var.api_exposure.public ? 1 : 0
  resource_arn = aws_lb.api.arn
  web_acl_arn  = aws_wafv2_web_acl.api[0].arn
}

# What it blocked, and nothing else: what passes is in the API's own log.
resource "aws_cloudwatch_log_group" "waf" {
  count             = var.api_exposure.public ? 1 : 0
  name              = "aws-waf-logs-${var.name}-api"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_wafv2_web_acl_logging_configuration" "api" {
  count                   = var.api_exposure.public ? 1 : 0
  resource_arn            = aws_wafv2_web_acl.api[0].arn
  log_destination_configs = [aws_cloudwatch_log_group.waf[0].arn]

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }
}
