# The lake: what lands here is a drop. Every version is kept, for a drop is one version of a file.

module "lake" {
  count                     = var.lake_bucket == null ? 1 : 0
  source                    = "./modules/bucket"
  name                      = "${var.name}-lake-${local.account}"
  versioned                 = true
  eventbridge_notifications = true
  old_version_days          = var.lake_old_version_days
  policy_json               = var.lake_policy_json
  kms_key_arn               = var.kms_key_arn
  tls_only                  = !var.emulated
  force_destroy             = var.destroy_with_data
}

locals {
  lake = {
    name = var.lake_bucket == null ? module.lake[0].name : var.lake_bucket
    arn  = var.lake_bucket == null ? module.lake[0].arn : "arn:${local.partition}:s3:::${var.lake_bucket}"
  }
}

# Bad rows, and later reports: written once, never loaded.
module "quarantine" {
  source        = "./modules/bucket"
  name          = "${var.name}-quarantine-${local.account}"
  versioned     = false
  expiry_days   = var.quarantine_days
  kms_key_arn   = var.kms_key_arn
  tls_only      = !var.emulated
  force_destroy = var.destroy_with_data
}
