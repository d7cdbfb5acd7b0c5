# The whole, in the ways that it can be had.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  databases      = ["dev", "analytics"]
  image_registry = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
  image_tag      = "1.2.3"
  cursor_secret  = { arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:cursors-AbCdEf" }
  warehouse      = { secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:warehouse-AbCdEf", host = "db.internal", port = 6432 }
}

run "by_default" {
  # --- The API: inside the VPC
  assert {
    condition     = aws_lb.api.internal && length(aws_wafv2_web_acl.api) == 0
    error_message = "Nobody asked for the internet."
  }

  assert {
    condition     = aws_lb.api.enable_deletion_protection && aws_lb.api.drop_invalid_header_fields
    error_message = "The load balancer is protected from being deleted, and from odd headers."
  }

  assert {
    condition     = aws_lb_listener.api.port == 80 && aws_lb_listener.api.protocol == "HTTP"
    error_message = "Without a certificate there is no TLS."
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.callers : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"] == ["10.20.0.0/16 80-80"]
    error_message = "Who is inside the VPC may ask, and nobody else."
  }

  assert {
    condition     = aws_lb_target_group.api.health_check[0].path == "/healthz" && aws_lb_target_group.api.port == 8080
    error_message = "Asked whether it is alive, at the port of the tasks."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.api_tasks.referenced_security_group_id == aws_security_group.load_balancer.id && aws_vpc_security_group_ingress_rule.api_tasks.from_port == 8080
    error_message = "The API's tasks are called by the load balancer alone."
  }

  # --- The network: one made here
  assert {
    condition     = length(module.network) == 1 && length(data.aws_vpc.given) == 0
    error_message = "Without vpc_id a VPC is made."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.warehouse.to_port == 6432 && aws_vpc_security_group_egress_rule.aws.to_port == 443
    error_message = "Tasks reach AWS by TLS and the warehouse's port, and nothing else."
  }

  # --- The warehouse: one's own
  assert {
    condition     = length(module.postgres) == 0 && output.warehouse_secret_arn == var.warehouse.secret_arn
    error_message = "The secret that was given."
  }

  assert {
    condition     = local.warehouse_environment.HEADRACE_WAREHOUSE_DSN == "host=db.internal port=6432 dbname=headrace sslmode=require"
    error_message = "Where the warehouse is, with TLS, and no word of a password."
  }

  # --- Alerts
  assert {
    condition     = length(module.ended_well) == 0 && length(module.ended_badly) == 0 && length(aws_sns_topic_subscription.emails) == 0
    error_message = "A single drop sends a message only where that is asked for."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.ended_badly.threshold == 0 && aws_cloudwatch_metric_alarm.ended_badly.alarm_actions == toset([aws_sns_topic.alerts.arn]) && length(coalesce(aws_cloudwatch_metric_alarm.ended_badly.ok_actions, [])) == 0
    error_message = "A thousand bad files are one message."
  }

  assert {
    condition = {
      for q in aws_cloudwatch_metric_alarm.ended_badly.metric_query : q.id => one(q.metric).dimensions if length(q.metric) > 0
      } == {
      rejected = tomap({ stack = "headrace", state = "rejected" })
      failed   = tomap({ stack = "headrace", state = "failed" })
    }
    error_message = "It counts what was rejected and what failed."
  }

  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.ended_badly.alarm_description, "http://headrace-api.us-east-1.elb.amazonaws.com/v1/drops?state=rejected")
    error_message = "The one message leads to every file with its reason."
  }

  assert {
    condition     = length(output.alert_topic_arn) > 0 && module.deployment_failed.arn != ""
    error_message = "A deployment that fails after Terraform is done sends a message."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.undelivered.dimensions == tomap({ QueueName = "headrace-undelivered" }) && aws_cloudwatch_metric_alarm.undelivered.threshold == 0
    error_message = "One event that could not be delivered rings."
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.log_throttled : name => alarm.dimensions } == {
      table     = tomap({ TableName = "headrace-log" })
      by_table  = tomap({ TableName = "headrace-log", GlobalSecondaryIndexName = "by_table" })
      recent    = tomap({ TableName = "headrace-log", GlobalSecondaryIndexName = "recent" })
      attention = tomap({ TableName = "headrace-log", GlobalSecondaryIndexName = "attention" })
    }
    error_message = "A log that is throttled rings."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.differences.dimensions == tomap({ stack = "headrace" }) && aws_cloudwatch_metric_alarm.differences.metric_name == "differences_left"
    error_message = "A difference that no repair removes rings."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) > 8
    error_message = "There is something to look at."
  }

  assert {
    condition = {
      for statement in data.aws_iam_policy_document.alerts.statement : one(one(statement.principals).identifiers) => [
        for condition in coalesce(statement.condition, []) : condition.variable
      ] if statement.actions == toset(["sns:Publish"])
    } == { "events.amazonaws.com" = [], "cloudwatch.amazonaws.com" = ["aws:SourceArn"] }
    error_message = "EventBridge publishes without a condition, which SNS would not match; alarms by their ARNs."
  }

  # --- The log, the bus
  assert {
    condition     = aws_dynamodb_table.log.deletion_protection_enabled && aws_dynamodb_table.log.point_in_time_recovery[0].enabled && aws_dynamodb_table.log.server_side_encryption[0].enabled
    error_message = "The log is protected, can be brought back, and is encrypted."
  }

  assert {
    condition     = aws_dynamodb_table.keys.deletion_protection_enabled && aws_dynamodb_table.keys.point_in_time_recovery[0].enabled && aws_dynamodb_table.keys.server_side_encryption[0].enabled
    error_message = "So are the keys of the API."
  }

  assert {
    condition     = { for i in aws_dynamodb_table.log.global_secondary_index : i.name => "${i.hash_key} ${i.range_key}" } == { by_table = "table_pk drop_id", recent = "recent_pk drop_id", attention = "attention_pk drop_id" }
    error_message = "The indexes of headrace_shared/log_schema.py."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.undelivered.statement[*]).actions == toset(["sqs:SendMessage"]) && one(one(data.aws_iam_policy_document.undelivered.statement[*]).condition).variable == "aws:SourceArn"
    error_message = "Only our rules leave there what their targets refuse."
  }

  assert {
    condition     = aws_cloudwatch_event_archive.facts.retention_days == 30
    error_message = "Facts are kept for a replay."
  }

  # --- What each service may do
  assert {
    condition     = flatten([for s in data.aws_iam_policy_document.router.statement : s.actions]) == ["events:PutEvents"]
    error_message = "The router publishes."
  }

  assert {
    condition     = flatten([for s in data.aws_iam_policy_document.logger.statement : s.actions]) == ["dynamodb:UpdateItem"]
    error_message = "The logger writes the log."
  }

  assert {
    condition     = !contains(data.aws_iam_policy_document.loader.statement[*].sid, "DropInferredContracts")
    error_message = "The loader writes into the lake only where contracts are inferred."
  }

  assert {
    condition = alltrue([
      for document in [data.aws_iam_policy_document.router, data.aws_iam_policy_document.loader, data.aws_iam_policy_document.logger, data.aws_iam_policy_document.api, data.aws_iam_policy_document.verifier, data.aws_iam_policy_document.warehouse_secret] :
      alltrue([for s in document.statement : !contains(s.resources, "*") && alltrue([for action in s.actions : !strcontains(action, "*")])])
    ])
    error_message = "No service has a wildcard for an action or for every resource."
  }

  assert {
    condition = alltrue([for s in data.aws_iam_policy_document.api.statement : length(setsubtract(s.actions, [
      "secretsmanager:GetSecretValue", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "events:PutEvents", "s3:GetObject", "s3:ListBucket",
      "sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:StartMessageMoveTask", "sqs:ListMessageMoveTasks", "sqs:SendMessage",
    ])) == 0])
    error_message = "The API reads, publishes facts and moves dead letters."
  }

  assert {
    condition = alltrue([
      for s in data.aws_iam_policy_document.api.statement :
      s.condition == toset([{ test = "ForAllValues:StringLike", variable = "dynamodb:LeadingKeys", values = tolist(["answer#*"]) }])
      if contains(s.actions, "dynamodb:PutItem")
    ])
    error_message = "Into the log the API writes answers, and no drop."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.api.statement : s.resources if contains(s.actions, "dynamodb:UpdateItem")] == [toset([aws_dynamodb_table.keys.arn])]
    error_message = "The API writes into the table of keys alone."
  }

  # --- What people need
  assert {
    condition     = output.api_url == "http://headrace-api.us-east-1.elb.amazonaws.com" && keys(output.task_role_arns) == ["api", "loader", "logger", "router", "verifier"]
    error_message = "Outputs that somebody needs."
  }
}

run "public_api" {
  state_key = "public_api"

  variables {
    api_exposure = {
      public                 = true
      certificate_arn        = "arn:aws:acm:us-east-1:111122223333:certificate/0123"
      allowed_cidrs          = ["192.0.2.0/24", "198.51.100.7/32"]
      requests_per_5_minutes = 500
      access_log_bucket      = "access-logs"
      url                    = "https://headrace.example.com"
      route53_zone_id        = "Z0123"
    }
  }

  assert {
    condition     = !aws_lb.api.internal && one(aws_lb.api.access_logs).bucket == "access-logs"
    error_message = "On the internet, with its access log where it was asked for."
  }

  assert {
    condition     = aws_lb_listener.api.port == 443 && aws_lb_listener.api.protocol == "HTTPS" && aws_lb_listener.api.certificate_arn == "arn:aws:acm:us-east-1:111122223333:certificate/0123"
    error_message = "By TLS."
  }

  assert {
    condition     = startswith(aws_lb_listener.api.ssl_policy, "ELBSecurityPolicy-TLS13-1-2")
    error_message = "TLS 1.2 at least."
  }

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.callers : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"]) == toset(["192.0.2.0/24 443-443", "198.51.100.7/32 443-443"])
    error_message = "Who was named, by TLS, and nobody else."
  }

  assert {
    condition     = [for rule in aws_wafv2_web_acl.api[0].rule : one(one(rule.statement).rate_based_statement).limit if rule.name == "rate"] == [500]
    error_message = "So many requests from one address."
  }

  assert {
    condition     = [for rule in aws_wafv2_web_acl.api[0].rule : one(one(rule.statement).managed_rule_group_statement).name if rule.name == "known-bad-inputs"] == ["AWSManagedRulesKnownBadInputsRuleSet"]
    error_message = "What AWS knows as an attack (Log4j among it) is blocked."
  }

  assert {
    condition     = aws_wafv2_web_acl_association.api[0].resource_arn == aws_lb.api.arn && startswith(aws_cloudwatch_log_group.waf[0].name, "aws-waf-logs-")
    error_message = "The WAF stands before the API; its log has the name that WAF demands."
  }

  assert {
    condition     = length(module.network[0].public_subnet_ids) == 2 && one(aws_route53_record.api).name == "headrace.example.com" && output.api_url == "https://headrace.example.com"
    error_message = "Public subnets are made, and the address is the one that was given."
  }
}

run "own_vpc" {
  state_key = "own_vpc"

  variables {
    network = { vpc_id = "vpc-1", task_subnet_ids = ["subnet-a", "subnet-b"] }
  }

  assert {
    condition     = length(module.network) == 0
    error_message = "No second VPC."
  }

  assert {
    condition     = aws_lb.api.subnets == toset(["subnet-a", "subnet-b"]) && aws_security_group.tasks.vpc_id == "vpc-1" && aws_lb_target_group.api.vpc_id == "vpc-1"
    error_message = "Everything stands in the VPC that was given."
  }

  assert {
    condition     = one([for rule in aws_vpc_security_group_ingress_rule.callers : rule.cidr_ipv4]) == "10.99.0.0/16"
    error_message = "Who is inside that VPC may ask."
  }
}

run "aurora" {
  state_key = "aurora"

  variables {
    warehouse = { aurora = { minimum_acus = 0, maximum_acus = 4 }, database = "head-race", secret_kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/secret" }
  }

  assert {
    condition     = local.warehouse_environment.HEADRACE_WAREHOUSE_DSN == "host=headrace-warehouse.cluster-0123.us-east-1.rds.amazonaws.com port=5432 dbname=head_race sslmode=verify-full"
    error_message = "The services connect to the cluster that was made, and verify its certificate."
  }

  assert {
    condition     = output.warehouse_secret_arn == module.warehouse_secret[0].arn && output.warehouse_secret_arn != module.postgres[0].admin_secret_arn
    error_message = "They have a role of their own."
  }

  assert {
    condition     = alltrue([for s in concat(data.aws_iam_policy_document.warehouse_secret.statement, data.aws_iam_policy_document.api.statement) : !contains(s.resources, module.postgres[0].admin_secret_arn)])
    error_message = "No service reads the secret of the master user."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.prepare[0].statement[*]).resources == toset([module.postgres[0].admin_secret_arn, module.warehouse_secret[0].arn]) && one(data.aws_iam_policy_document.prepare[0].statement[*]).actions == toset(["secretsmanager:GetSecretValue"])
    error_message = "The task that makes the role reads both secrets, and nothing else."
  }

  assert {
    condition     = endswith(output.prepare_warehouse.command, "--env HEADRACE_ADMIN_SECRET=arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!cluster-AbCdEf -- headrace_loader.warehouse_roles")
    error_message = "One command makes the role."
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.warehouse.to_port == 5432
    error_message = "At its port."
  }

  assert {
    condition     = data.aws_iam_policy_document.warehouse_secret.statement[*].sid == tolist(["ReadTheWarehousesSecret", "DecryptTheWarehousesSecret"])
    error_message = "A secret with a key of its own can be read."
  }
}

run "what_is_kept_and_told" {
  state_key = "kept"

  variables {
    alert_emails           = ["ops@example.com"]
    alert_each_drop        = ["loaded", "rejected"]
    contracts_inferred_for = ["dev", "analytics"]
    destroy_with_data      = true
    archive_days           = 7
    services               = { api = { minimum_tasks = 3 }, verifier = { maximum_tasks = 0 }, loader = { environment = { HEADRACE_LOADS = "8" } } }
  }

  assert {
    condition     = length(module.ended_well) == 1 && length(module.ended_badly) == 1 && aws_sns_topic_subscription.emails["ops@example.com"].protocol == "email"
    error_message = "Each drop sends a message, by mail."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.loader.statement : s.resources if s.sid == "DropInferredContracts"] == [toset(["arn:aws:s3:::bucket/dev/schema/*/inferred.json", "arn:aws:s3:::bucket/analytics/schema/*/inferred.json"])]
    error_message = "The loader may drop contracts that it inferred, and nothing else."
  }

  assert {
    condition     = !aws_lb.api.enable_deletion_protection && !aws_dynamodb_table.log.deletion_protection_enabled && !aws_dynamodb_table.keys.deletion_protection_enabled
    error_message = "What may be destroyed with its data is not protected."
  }

  assert {
    condition     = local.services.api.minimum_tasks == 3 && local.services.api.maximum_tasks == 6 && local.services.loader.environment["HEADRACE_LOADS"] == "8" && local.services.loader.memory_mib == 2048
    error_message = "What is not named keeps its default."
  }

  assert {
    condition     = local.services.verifier.minimum_tasks == 0 && local.services.verifier.maximum_tasks == 0
    error_message = "A maximum of zero turns a service off."
  }
}

run "own_key" {
  state_key = "own_key"

  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/0123"
  }

  assert {
    condition = toset([
      aws_cloudwatch_event_bus.facts.kms_key_identifier, aws_sqs_queue.undelivered.kms_master_key_id, aws_sns_topic.alerts.kms_master_key_id,
      aws_dynamodb_table.log.server_side_encryption[0].kms_key_arn, aws_dynamodb_table.keys.server_side_encryption[0].kms_key_arn, local.platform.kms_key_arn,
    ]) == toset(["arn:aws:kms:us-east-1:111122223333:key/0123"])
    error_message = "Everything that holds something has the key that was given."
  }

  assert {
    condition     = one(aws_cloudwatch_event_bus.facts.dead_letter_config).arn == aws_sqs_queue.undelivered.arn && contains(one(one(data.aws_iam_policy_document.undelivered.statement[*]).condition).values, aws_cloudwatch_event_bus.facts.arn)
    error_message = "A fact that the key could not be used for is not lost."
  }

  assert {
    condition     = aws_sqs_queue.undelivered.sqs_managed_sse_enabled != true
    error_message = "One key at a time."
  }
}

run "a_lake_of_yours" {
  state_key = "a_lake_of_yours"

  variables {
    lake_bucket = "yours"
  }

  assert {
    condition     = length(module.lake) == 0 && output.lake_bucket == "yours"
    error_message = "No bucket is made."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.loader.statement : s.resources if s.sid == "ReadDrops"] == [toset(["arn:aws:s3:::yours/*"])]
    error_message = "The loader reads that one."
  }
}
