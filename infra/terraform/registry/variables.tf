variable "name" {
  description = "Prefix of the repositories: `<name>-router`, `<name>-loader` ... The name of the stack, usually."
  type        = string
  default     = "headrace"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(?:[-_/.][a-z0-9]+)*$", var.name))
    error_message = "Lower-case letters, digits, and single - _ . or / between them, as ECR demands."
  }
}

variable "kept_versions" {
  description = "So many images are kept in each repository, the newest ones: what a roll-back can go back to."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.kept_versions >= 2
    error_message = "Keep at least 2: the version that runs, and the one to go back to."
  }
}

variable "kms_key_arn" {
  description = "Your own KMS key for the images; null: ECR's own."
  type        = string
  default     = null
}

variable "destroy_with_images" {
  description = "Whether `terraform destroy` may delete repositories with images in them."
  type        = bool
  default     = false
  nullable    = false
}
