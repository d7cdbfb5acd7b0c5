variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region, for the names of the endpoints."
  type        = string
  nullable    = false
}

variable "cidr_block" {
  description = "Addresses of the VPC, /16 to /20: it is cut into sixteen parts, each a subnet."
  type        = string
  nullable    = false
}

variable "availability_zones" {
  description = "How many availability zones it spans."
  type        = number
  nullable    = false
}

variable "public" {
  description = "Whether there are public subnets, for a load balancer on the internet."
  type        = bool
  nullable    = false
}

variable "nat" {
  description = "Whether tasks reach the internet, through one NAT gateway."
  type        = bool
  default     = false
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key of the flow log; null: AWS's own."
  type        = string
  default     = null
}
