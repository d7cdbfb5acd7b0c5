output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "task_subnet_ids" {
  description = "Subnets of the tasks, one in each zone."
  value       = aws_subnet.tasks[*].id
}

output "public_subnet_ids" {
  description = "Subnets of a public load balancer; none where the API is internal."
  value       = aws_subnet.public[*].id
}
