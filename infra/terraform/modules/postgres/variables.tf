variable "name" {
  description = "Name of the cluster."
  type        = string
  nullable    = false
}

variable "database" {
  description = "Name of the database in it."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "Version (the major one alone, so that AWS chooses the minor one), capacity in ACUs (2 GiB of memory each; 0 as minimum lets it pause while nothing is connected), number of instances, days of backups."
  type = object({
    engine_version      = string
    minimum_acus        = number
    maximum_acus        = number
    instances           = number
    backup_days         = number
    deletion_protection = bool
  })
  nullable = false
}

variable "vpc_id" {
  description = "The VPC that it is in."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "The subnets that it is in, in two availability zones at least."
  type        = list(string)
  nullable    = false
}

variable "client_group_id" {
  description = "Security group of those who may connect."
  type        = string
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key of storage, password and log; null: keys that AWS manages."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps Postgres's log."
  type        = number
  nullable    = false
}

variable "skip_final_snapshot" {
  description = "Whether destroying it leaves nothing behind."
  type        = bool
  nullable    = false
}
