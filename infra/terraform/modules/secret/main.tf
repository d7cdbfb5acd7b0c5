# A secret with a random value that is in no plan and in no state.

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:Nothing here can rotate it on both sides at once. It changes when its generation is raised (README of the stack).
  # A prefix: Secrets Manager keeps the name of a deleted secret for days, and a new stack needs one at once.
  name_prefix             = "${var.name}-"
  description             = var.description
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.recovery_days
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id = aws_secretsmanager_secret.this.id
  # Two random UUIDs have 244 random bits, and the hash gives them the form of a password. `uuid()` is
  # unknown in a plan, and an argument that ends with `_wo` is never written to a state.
  secret_string_wo = (
    var.username == null
    ? sha256("${uuid()}${uuid()}")
    : jsonencode({ username = var.username, password = sha256("${uuid()}${uuid()}") })
  )
  secret_string_wo_version = var.generation
}
