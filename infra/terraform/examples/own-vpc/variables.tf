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

variable "databases" {
  description = "The db_names that files may be dropped for."
  type        = set(string)
  nullable    = false
}

variable "image_registry" {
  description = "Where the images are, up to the service's name."
  type        = string
  nullable    = false
}

variable "image_tag" {
  description = "Version of the images."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "task_subnet_ids" {
  description = "Private subnets in two availability zones, with a way to AWS by endpoints or NAT."
  type        = list(string)
  nullable    = false
}

variable "warehouse_secret_arn" {
  description = "Secret of a user who is no superuser and has CREATE on the database, JSON with username and password."
  type        = string
  nullable    = false
}

variable "warehouse_host" {
  description = "Address of the Postgres, as its certificate has it."
  type        = string
  nullable    = false
}

variable "warehouse_port" {
  description = "Port of the Postgres."
  type        = number
  default     = 5432
  nullable    = false
}

variable "warehouse_database" {
  description = "The database in it."
  type        = string
  default     = "headrace"
  nullable    = false
}

variable "warehouse_security_group_id" {
  description = "Security group of the Postgres."
  type        = string
  nullable    = false
}

variable "alert_emails" {
  description = "Who gets the alarms by mail."
  type        = set(string)
  default     = []
  nullable    = false
}
