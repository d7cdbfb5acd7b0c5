variable "name" {
  description = "Name of the rule."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What the rule is for, in a sentence."
  type        = string
  nullable    = false
}

variable "bus_name" {
  description = "The bus that it listens to."
  type        = string
  default     = "default"
  nullable    = false
}

variable "pattern" {
  description = "EventBridge pattern of the events that it hears."
  type        = any
  nullable    = false
}

variable "target_id" {
  description = "Name of the target within the rule."
  type        = string
  nullable    = false
}

variable "target_arn" {
  description = "Where events go: a queue, or a topic."
  type        = string
  nullable    = false
}

variable "dead_letter_arn" {
  description = "The queue for events that the target would not take."
  type        = string
  nullable    = false
}

variable "message" {
  description = "What the target is sent in place of the event: paths into the event, and a template with their names."
  type        = object({ paths = map(string), template = string })
  default     = null
}
