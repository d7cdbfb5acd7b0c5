output "image_registry" {
  description = "The stack's `image_registry`: the address of the images, up to the service's name."
  value       = trimsuffix(aws_ecr_repository.services["router"].repository_url, "-router")
}
