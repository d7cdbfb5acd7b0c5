# The smaller modules: bucket, network, postgres, rule.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "versioned_bucket" {
  state_key = "versioned_bucket"

  module {
    source = "./modules/bucket"
  }

  variables {
    name                      = "headrace-lake"
    versioned                 = true
    eventbridge_notifications = true
    old_version_days          = 30
    policy_json               = "{\"Version\": \"2012-10-17\", \"Statement\": []}"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled"
    error_message = "Every version is a drop."
  }

  assert {
    condition     = aws_s3_bucket_notification.this[0].eventbridge
    error_message = "S3 tells EventBridge of every object."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "Never public."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Encrypted, with S3's own key where no other is given."
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["unfinished-uploads", "old-versions"]
    error_message = "Unfinished uploads go, old versions after the days that were asked for, files never."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7 && aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "After as many days as was said."
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 1 && one(data.aws_iam_policy_document.tls_only.statement).effect == "Deny" && one(one(data.aws_iam_policy_document.tls_only.statement).condition).variable == "aws:SecureTransport"
    error_message = "Without TLS nobody is answered."
  }

  assert {
    condition     = data.aws_iam_policy_document.tls_only.source_policy_documents == tolist(["{\"Version\": \"2012-10-17\", \"Statement\": []}"])
    error_message = "Statements that are given stand beside it."
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy && aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "A bucket with files in it is not destroyed, and what is in it belongs to its owner."
  }
}

run "expiring_bucket_with_a_key" {
  state_key = "expiring_bucket"

  module {
    source = "./modules/bucket"
  }

  variables {
    name        = "headrace-quarantine"
    versioned   = false
    expiry_days = 90
    kms_key_arn = "arn:aws:kms:us-east-1:111122223333:key/0123"
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 0 && length(aws_s3_bucket_notification.this) == 0
    error_message = "What is written once needs no versions, and nobody is told of it."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.expiration[0].days if rule.id == "expiry"]) == 90
    error_message = "It goes after the days that were asked for."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == "arn:aws:kms:us-east-1:111122223333:key/0123" && one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "The key that was given, asked once for many objects."
  }
}

run "private_network" {
  state_key = "private_network"

  module {
    source = "./modules/network"
  }

  variables {
    name               = "headrace"
    region             = "us-east-1"
    cidr_block         = "10.20.0.0/16"
    availability_zones = 3
    public             = false
    log_retention_days = 365
  }

  assert {
    condition     = aws_subnet.tasks[*].cidr_block == ["10.20.0.0/20", "10.20.16.0/20", "10.20.32.0/20"] && aws_subnet.tasks[*].availability_zone == ["us-east-1a", "us-east-1b", "us-east-1c"]
    error_message = "A subnet in each zone."
  }

  assert {
    condition     = length(aws_internet_gateway.this) == 0 && length(aws_subnet.public) == 0 && length(aws_route.internet) == 0
    error_message = "No way to the internet."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.gateways)) == toset(["s3", "dynamodb"]) && length(setsubtract(["sqs", "events", "secretsmanager", "ecr.api", "ecr.dkr", "logs"], keys(aws_vpc_endpoint.interfaces))) == 0
    error_message = "Endpoints for everything that tasks call."
  }

  assert {
    condition     = length(setintersection(["ecs-agent", "ecs-telemetry"], keys(aws_vpc_endpoint.interfaces))) == 0
    error_message = "Each costs in every zone, and Fargate calls neither."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.flows_trust.statement).condition == toset([{ test = "StringEquals", variable = "aws:SourceAccount", values = tolist(["111122223333"]) }]) && contains(data.aws_iam_policy_document.flows.statement[*].sid, "FindItsLogGroup")
    error_message = "Only flow logs of this account take the role, with what AWS asks for."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interfaces : endpoint.private_dns_enabled && length(endpoint.subnet_ids) == 3])
    error_message = "Found by AWS's usual names, in every zone."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443 && aws_vpc_security_group_ingress_rule.endpoints.to_port == 443
    error_message = "Reached from inside by TLS."
  }

  assert {
    condition     = aws_flow_log.this.traffic_type == "REJECT" && aws_cloudwatch_log_group.flows.retention_in_days == 365
    error_message = "What was refused is written down."
  }
}

run "network_with_nat" {
  state_key = "network_with_nat"

  module {
    source = "./modules/network"
  }

  variables {
    name               = "headrace"
    region             = "us-east-1"
    cidr_block         = "10.20.0.0/20"
    availability_zones = 2
    public             = false
    nat                = true
    log_retention_days = 365
  }

  assert {
    condition     = aws_route.nat[0].nat_gateway_id == aws_nat_gateway.this[0].id && aws_route.nat[0].route_table_id == aws_route_table.tasks.id && length(aws_subnet.public) == 2
    error_message = "Tasks reach the internet through the gateway in a public subnet."
  }

  assert {
    condition     = alltrue([for one in concat(aws_subnet.tasks, aws_subnet.public) : one.map_public_ip_on_launch != true])
    error_message = "And nothing there has an address of the internet."
  }

  assert {
    condition     = aws_subnet.tasks[0].cidr_block == "10.20.0.0/24"
    error_message = "The smallest network has subnets of 256 addresses."
  }
}

run "public_network" {
  state_key = "public_network"

  module {
    source = "./modules/network"
  }

  variables {
    name               = "headrace"
    region             = "us-east-1"
    cidr_block         = "10.20.0.0/16"
    availability_zones = 2
    public             = true
    log_retention_days = 365
  }

  assert {
    condition     = aws_subnet.public[*].cidr_block == ["10.20.128.0/20", "10.20.144.0/20"] && aws_route.internet[0].destination_cidr_block == "0.0.0.0/0"
    error_message = "Subnets of the load balancer have a way to the internet."
  }

  assert {
    condition     = alltrue([for one in aws_route_table_association.tasks : one.route_table_id == aws_route_table.tasks.id])
    error_message = "Those of the tasks have none."
  }
}

run "postgres" {
  state_key = "postgres"

  module {
    source = "./modules/postgres"
  }

  variables {
    name                = "headrace-warehouse"
    database            = "headrace"
    vpc_id              = "vpc-1"
    subnet_ids          = ["subnet-a", "subnet-b"]
    client_group_id     = "sg-tasks"
    log_retention_days  = 365
    skip_final_snapshot = false
    settings = {
      engine_version      = "17"
      minimum_acus        = 0
      maximum_acus        = 8
      instances           = 2
      backup_days         = 7
      deletion_protection = true
    }
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot
    error_message = "Encrypted, with a password that RDS keeps, protected, and leaving a snapshot."
  }

  assert {
    condition     = aws_rds_cluster.this.serverlessv2_scaling_configuration[0].min_capacity == 0 && aws_rds_cluster.this.serverlessv2_scaling_configuration[0].seconds_until_auto_pause == 300
    error_message = "At zero it may pause."
  }

  assert {
    condition     = aws_rds_cluster_parameter_group.this.family == "aurora-postgresql17" && contains([for p in aws_rds_cluster_parameter_group.this.parameter : "${p.name}=${p.value}"], "rds.force_ssl=1")
    error_message = "TLS only."
  }

  assert {
    condition     = length(setsubtract(["log_min_messages=log", "log_min_error_statement=panic", "log_error_verbosity=terse", "log_parameter_max_length=0", "log_parameter_max_length_on_error=0"], [for p in aws_rds_cluster_parameter_group.this.parameter : "${p.name}=${p.value}"])) == 0
    error_message = "No refused value is in the log."
  }

  assert {
    condition     = aws_rds_cluster.this.backup_retention_period == 7
    error_message = "Backups are kept for the days that were asked for."
  }

  assert {
    condition     = aws_rds_cluster.this.engine_version == "17" && alltrue([for one in aws_rds_cluster_instance.this : one.auto_minor_version_upgrade])
    error_message = "AWS chooses the minor version, and no later plan wants it back."
  }

  assert {
    condition     = aws_rds_cluster.this.allow_major_version_upgrade && startswith(aws_rds_cluster_parameter_group.this.name_prefix, "headrace-warehouse-")
    error_message = "Another major version gets a parameter group beside the one in use."
  }

  assert {
    condition     = startswith(aws_rds_cluster.this.final_snapshot_identifier, "headrace-warehouse-final-") && length(aws_rds_cluster.this.final_snapshot_identifier) == length("headrace-warehouse-final-") + 8
    error_message = "A second cluster of the name leaves a second snapshot behind."
  }

  assert {
    condition     = aws_rds_cluster_instance.this[*].promotion_tier == [0, 2]
    error_message = "The second scales by its own load."
  }

  assert {
    condition     = length(aws_rds_cluster_instance.this) == 2 && alltrue([for one in aws_rds_cluster_instance.this : one.instance_class == "db.serverless" && one.publicly_accessible != true])
    error_message = "Two instances, neither on the internet."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.services.referenced_security_group_id == "sg-tasks" && aws_vpc_security_group_ingress_rule.services.from_port == 5432
    error_message = "The services alone may connect."
  }
}

run "postgres_with_a_minor_version" {
  state_key = "postgres_with_a_minor_version"

  module {
    source = "./modules/postgres"
  }

  variables {
    name                = "headrace-warehouse"
    database            = "headrace"
    vpc_id              = "vpc-1"
    subnet_ids          = ["subnet-a", "subnet-b"]
    client_group_id     = "sg-tasks"
    log_retention_days  = 365
    skip_final_snapshot = true
    settings = {
      engine_version      = "17.7"
      minimum_acus        = 0.5
      maximum_acus        = 8
      instances           = 1
      backup_days         = 7
      deletion_protection = true
    }
  }

  assert {
    condition     = aws_rds_cluster.this.engine_version == "17.7" && !aws_rds_cluster_instance.this[0].auto_minor_version_upgrade && aws_rds_cluster_parameter_group.this.family == "aurora-postgresql17"
    error_message = "A minor version that is named stays."
  }
}

run "rule_to_a_queue" {
  state_key = "rule"

  module {
    source = "./modules/rule"
  }

  variables {
    name            = "headrace-loader"
    description     = "Routed drops go to the loader"
    bus_name        = "headrace"
    pattern         = { source = ["headrace"], "detail-type" = ["Drop Routed"] }
    target_id       = "loader"
    target_arn      = "arn:aws:sqs:us-east-1:111122223333:headrace-loader"
    dead_letter_arn = "arn:aws:sqs:us-east-1:111122223333:headrace-undelivered"
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.this.event_pattern) == { source = ["headrace"], "detail-type" = ["Drop Routed"] } && aws_cloudwatch_event_rule.this.event_bus_name == "headrace"
    error_message = "It hears what it is told to, on its bus."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.arn == "arn:aws:sqs:us-east-1:111122223333:headrace-loader" && aws_cloudwatch_event_target.this.dead_letter_config[0].arn == "arn:aws:sqs:us-east-1:111122223333:headrace-undelivered"
    error_message = "What the target refuses is not lost."
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.retry_policy[0].maximum_event_age_in_seconds == 86400 && aws_cloudwatch_event_target.this.retry_policy[0].maximum_retry_attempts == 185
    error_message = "Tried for a day."
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.this.input_transformer) == 0
    error_message = "A queue gets the event as it is."
  }
}

run "rule_to_people" {
  state_key = "rule_to_people"

  module {
    source = "./modules/rule"
  }

  variables {
    name            = "headrace-ended-badly"
    description     = "Bad ends go to the alerts"
    pattern         = { source = ["headrace"] }
    target_id       = "alerts"
    target_arn      = "arn:aws:sns:us-east-1:111122223333:headrace-alerts"
    dead_letter_arn = "arn:aws:sqs:us-east-1:111122223333:headrace-undelivered"
    message         = { paths = { what = "$.detail-type" }, template = "\"<what>\"" }
  }

  assert {
    condition     = aws_cloudwatch_event_target.this.input_transformer[0].input_paths == tomap({ what = "$.detail-type" }) && aws_cloudwatch_event_rule.this.event_bus_name == "default"
    error_message = "People get a message that they can read."
  }
}

run "secret_with_a_user" {
  state_key = "secret"

  module {
    source = "./modules/secret"
  }

  variables {
    name          = "headrace/warehouse"
    description   = "Who loads the warehouse"
    username      = "headrace"
    recovery_days = 7
  }

  assert {
    condition     = aws_secretsmanager_secret.this.name_prefix == "headrace/warehouse-" && aws_secretsmanager_secret.this.recovery_window_in_days == 7
    error_message = "A name of its own each time: that of a deleted secret stays taken for days."
  }

  assert {
    condition     = aws_secretsmanager_secret_version.this.secret_string == null || aws_secretsmanager_secret_version.this.secret_string == ""
    error_message = "The value is in no state."
  }

  assert {
    condition     = aws_secretsmanager_secret_version.this.secret_string_wo_version == 1
    error_message = "A higher generation makes another value."
  }
}
