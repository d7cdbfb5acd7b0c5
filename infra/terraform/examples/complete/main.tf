# What there is to choose, chosen: a key and a lake of its own, a public API with TLS and a name, a way to the
# internet, a larger loader, another account that drops files.

provider "aws" {
  region = var.region

  default_tags {
    tags = { Application = "headrace", Stack = var.name }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account     = data.aws_caller_identity.current.account_id
  partition   = data.aws_partition.current.partition
  lake_bucket = "${var.name}-lake-${local.account}"
}

module "headrace" {
  source         = "../.."
  name           = var.name
  databases      = var.databases
  image_registry = var.image_registry
  image_tag      = var.image_tag
  kms_key_arn    = aws_kms_key.this.arn

  network = {
    cidr_block         = "10.30.0.0/18"
    availability_zones = 3
    # For tokens of an issuer on the internet.
    nat = true
  }

  warehouse = {
    aurora = {
      minimum_acus = 1
      maximum_acus = 32
      backup_days  = 14
    }
  }

  services = {
    loader = {
      cpu_units     = 2048
      memory_mib    = 4096
      minimum_tasks = 2
      maximum_tasks = 20
      environment   = { HEADRACE_LOADS = "8" }
    }
    api = {
      environment = {
        HEADRACE_JWT_ISSUER   = var.jwt_issuer
        HEADRACE_JWT_AUDIENCE = var.name
      }
    }
  }

  api_exposure = {
    public          = true
    url             = var.api_url
    certificate_arn = var.certificate_arn
    route53_zone_id = var.route53_zone_id
    allowed_cidrs   = var.allowed_cidrs
  }

  lake_policy_json      = data.aws_iam_policy_document.droppers.json
  lake_old_version_days = 365
  log_expiry_days       = 730
  alert_emails          = var.alert_emails
  alert_each_drop       = ["rejected"]

  verification_interval_seconds = 86400
}

# The services' own role in the new Aurora: made by a task in the VPC, once, and again with a new password.
resource "terraform_data" "prepare_warehouse" {
  triggers_replace = [module.headrace.prepare_warehouse.revision]

  provisioner "local-exec" {
    command = module.headrace.prepare_warehouse.command
  }
}

# Another account may drop files, each for its own databases: here for `shop`.
data "aws_iam_policy_document" "droppers" {
  statement {
    sid       = "AnotherAccountDropsFiles"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["arn:${local.partition}:s3:::${local.lake_bucket}/shop/*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${var.dropping_account}:root"]
    }
  }
}

# --- The key, and whom its policy lets in (README of the stack, "A key of your own") --------------------

resource "aws_kms_key" "this" {
  description         = "Everything that ${var.name} keeps"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.id
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:The account's own policies decide, as in every key that AWS makes; without this statement no one could manage the key.
  #checkov:skip=CKV_AWS_111:The policy of a key names as its resource the key itself, which is written as an asterisk.
  #checkov:skip=CKV_AWS_356:The policy of a key names as its resource the key itself, which is written as an asterisk.
  statement {
    sid       = "TheAccountsOwnPolicies"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  # Without a condition: SNS supports none for EventBridge.
  statement {
    sid       = "EventBridgeKeepsEventsAndSendsToQueuesAndTheTopic"
    actions   = ["kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }

  statement {
    sid       = "AlarmsPublish"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
  }

  statement {
    sid       = "LogGroups"
    actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${var.region}:${local.account}:log-group:*"]
    }
  }

  statement {
    sid       = "AnotherAccountEncryptsWhatItDrops"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${var.dropping_account}:root"]
    }
  }
}
