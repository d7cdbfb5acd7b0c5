output "host" {
  description = "Address of the writer, once an instance is there."
  value       = aws_rds_cluster.this.endpoint
  depends_on  = [aws_rds_cluster_instance.this, aws_vpc_security_group_ingress_rule.services]
}

output "admin_secret_arn" {
  description = "The secret of the master user, which RDS rotates. It is needed once, to make the role of the services."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}
