variable "name" {
  description = "Name of the service: router, loader ..."
  type        = string
  nullable    = false
}

variable "platform" {
  description = "What every service of the stack shares: names, cluster, network, images, keeping of logs."
  type = object({
    name               = string
    region             = string
    cluster_name       = string
    cluster_arn        = string
    architecture       = string
    image_registry     = string
    image_tag          = string
    subnet_ids         = list(string)
    security_group_ids = list(string)
    log_retention_days = number
    kms_key_arn        = optional(string)
    autoscaling        = bool
    alarm_topic_arn    = string
  })
  nullable = false
}

variable "size" {
  description = "Size of a task (CPU units of which 1,024 are one vCPU, MiB), number of tasks, the backlog that one task is to have, and settings that the user adds."
  type = object({
    cpu_units         = number
    memory_mib        = number
    minimum_tasks     = number
    maximum_tasks     = number
    messages_per_task = optional(number)
    environment       = optional(map(string), {})
  })
  nullable = false
}

variable "environment" {
  description = "The service's settings."
  type        = map(string)
  nullable    = false
}

variable "secrets" {
  description = "Settings that ECS reads from Secrets Manager when a task starts: setting -> ARN of the secret."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "policy_json" {
  description = "IAM policy of what the service does beside reading its inbox."
  type        = string
  nullable    = false
}

variable "inbox" {
  description = "The queue that the service reads (seconds and counts as in local/headrace_local/resources.py), and the rules that may send to it; null for a service without one."
  type = object({
    rule_arns              = list(string)
    maximum_receives       = number
    visibility_seconds     = optional(number, 30)
    retention_seconds      = optional(number, 345600)
    dead_retention_seconds = optional(number, 1209600)
    oldest_message_minutes = optional(number, 30)
  })
  default = null
}

variable "port" {
  description = "Port that the service listens on; null: it listens on none."
  type        = number
  default     = null
}

variable "target_group_arn" {
  description = "Target group of the load balancer in front of it; null: there is none."
  type        = string
  default     = null
}

variable "scratch_gib" {
  description = "Ephemeral storage of a task in GiB (Fargate: 21 at least); Parquet files and archives lie there while they are read."
  type        = number
  default     = 21
  nullable    = false
}
