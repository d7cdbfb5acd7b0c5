output "make_images" {
  description = "The command that builds the images and pushes them, run in the root folder of the repository."
  value       = "make images PUSH=1 PLATFORM=linux/arm64 TAG=${var.image_tag} PREFIX=${module.registry.image_registry}"
}

output "lake_bucket" {
  description = "Drop files here, at `db_name/action/table_name/file`."
  value       = module.headrace.lake_bucket
}

output "dashboard_url" {
  description = "The CloudWatch dashboard."
  value       = module.headrace.dashboard_url
}

output "run_task" {
  description = "Runs a task beside the services (README of the stack, Recipes)."
  value       = module.headrace.run_task
}
