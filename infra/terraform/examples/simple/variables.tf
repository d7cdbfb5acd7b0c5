variable "region" {
  description = "AWS region of everything."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the stack, the prefix of everything in it."
  type        = string
  default     = "headrace"
  nullable    = false
}

variable "image_tag" {
  description = "Version of the images. A tag cannot be moved: each build needs another one."
  type        = string
  default     = "1"
  nullable    = false
}

variable "alert_emails" {
  description = "Who gets the alarms by mail."
  type        = set(string)
  default     = []
  nullable    = false
}
