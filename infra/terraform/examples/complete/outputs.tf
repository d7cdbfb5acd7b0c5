output "lake_bucket" {
  description = "Drop files here, at `db_name/action/table_name/file`."
  value       = module.headrace.lake_bucket
}

output "api_url" {
  description = "Where the API answers."
  value       = module.headrace.api_url
}

output "run_task" {
  description = "Runs a task beside the services (README of the stack, Recipes)."
  value       = module.headrace.run_task
}
