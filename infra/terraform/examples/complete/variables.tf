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

variable "api_url" {
  description = "Address of the API, for which the certificate is, for example https://headrace.example.com."
  type        = string
  nullable    = false
}

variable "certificate_arn" {
  description = "Certificate of that address in ACM, in the same region."
  type        = string
  nullable    = false
}

variable "route53_zone_id" {
  description = "Hosted zone in which the address gets its record."
  type        = string
  nullable    = false
}

variable "allowed_cidrs" {
  description = "Who may reach the API from the internet."
  type        = list(string)
  nullable    = false
}

variable "jwt_issuer" {
  description = "OIDC issuer whose tokens the API takes."
  type        = string
  nullable    = false
}

variable "dropping_account" {
  description = "Another AWS account that may drop files for `shop`."
  type        = string
  nullable    = false
}

variable "alert_emails" {
  description = "Who gets the alarms by mail."
  type        = set(string)
  default     = []
  nullable    = false
}
