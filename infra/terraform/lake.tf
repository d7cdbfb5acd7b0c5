# The lake: what lands here is a drop. Every version is kept, for a drop is one version of a file.

module "lake" {
  source                    = "./modules/bucket"
  name                      = "${var.name}-lake"
  versioned                 = true
  eventbridge_notifications = true
  old_version_days          = var.lake_old_version_days
  kms_key_arn               = var.kms_key_arn
  tls_only                  = !var.emulated
  force_destroy             = var.destroy_with_data
}

# Bad rows, and later reports: written once, never loaded.
module "quarantine" {
  source        = "./modules/bucket"
  name          = "${var.name}-quarantine"
  versioned     = false
  expiry_days   = var.quarantine_days
  kms_key_arn   = var.kms_key_arn
  tls_only      = !var.emulated
  force_destroy = var.destroy_with_data
}
