output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "task_subnet_ids" {
  description = "Subnets of the tasks, one in each zone, once the ways out of them are there."
  value       = aws_subnet.tasks[*].id

  # A task that starts before its endpoints cannot pull its image, and three such starts end a deployment.
  depends_on = [
    aws_route.nat,
    aws_route_table_association.tasks,
    aws_vpc_endpoint.gateways,
    aws_vpc_endpoint.interfaces,
    aws_vpc_security_group_ingress_rule.endpoints,
  ]
}

output "public_subnet_ids" {
  description = "Subnets of a public load balancer and of a NAT gateway; none where there is neither."
  value       = aws_subnet.public[*].id
  depends_on  = [aws_route.internet, aws_route_table_association.public]
}
