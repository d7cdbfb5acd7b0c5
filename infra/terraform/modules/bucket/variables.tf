variable "name" {
  description = "Name of the bucket, unique in the world."
  type        = string
  nullable    = false
}

variable "versioned" {
  description = "Whether S3 keeps every version of an object."
  type        = bool
  nullable    = false
}

variable "eventbridge_notifications" {
  description = "Whether S3 tells the account's default bus of every object."
  type        = bool
  default     = false
  nullable    = false
}

variable "tls_only" {
  description = "Whether requests without TLS are refused: always, but for an emulator that has none."
  type        = bool
  default     = true
  nullable    = false
}

variable "old_version_days" {
  description = "Days that a replaced or deleted version is kept; 0: for ever."
  type        = number
  default     = 0
  nullable    = false
}

variable "expiry_days" {
  description = "Days after which an object is deleted; 0: never."
  type        = number
  default     = 0
  nullable    = false
}

variable "policy_json" {
  description = "Further statements of the bucket's policy, for example for another account; null: none."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "KMS key of the objects; null: S3's own (AES256)."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether the bucket may be destroyed with objects in it."
  type        = bool
  default     = false
  nullable    = false
}
