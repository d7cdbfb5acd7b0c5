# The log: one item per drop. The shape is the one of headrace_shared/log_schema.py.

locals {
  log_indexes = {
    by_table  = "table_pk"
    recent    = "recent_pk"
    attention = "attention_pk"
  }
}

resource "aws_dynamodb_table" "log" {
  name                        = "${var.name}-log"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "drop_id"
  deletion_protection_enabled = !var.destroy_with_data

  attribute {
    name = "drop_id"
    type = "S"
  }

  dynamic "attribute" {
    for_each = local.log_indexes
    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = local.log_indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value
      range_key       = "drop_id"
      projection_type = "ALL"
    }
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
