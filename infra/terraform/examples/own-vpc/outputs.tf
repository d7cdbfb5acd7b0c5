output "lake_bucket" {
  description = "Drop files here, at `db_name/action/table_name/file`."
  value       = module.headrace.lake_bucket
}

output "api_url" {
  description = "Where the API answers, inside the VPC."
  value       = module.headrace.api_url
}
