output "host" {
  description = "Address of the writer."
  value       = aws_rds_cluster.this.endpoint
}

output "port" {
  description = "Port of the writer."
  value       = aws_rds_cluster.this.port
}

output "secret_arn" {
  description = "The secret with username and password, which RDS rotates."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}
