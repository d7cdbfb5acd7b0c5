variable "name" {
  description = "Beginning of the secret's name; the provider adds what makes it unique."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the secret is for, in a sentence."
  type        = string
  nullable    = false
}

variable "username" {
  description = "With a name the value is JSON with username and password, as RDS writes it; null: the value is the random text alone."
  type        = string
  default     = null
}

variable "generation" {
  description = "A higher number makes a new value."
  type        = number
  default     = 1
  nullable    = false
}

variable "recovery_days" {
  description = "Days for which AWS keeps the secret after its deletion; 0 deletes it at once."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key of the secret; null: the key that AWS manages."
  type        = string
  default     = null
}
