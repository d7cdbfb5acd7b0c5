# modules/service: what ECS is told of a task, its inbox, its roles, its scaling and its alarms.

mock_provider "aws" {
  source = "./tests/mocks"
}

override_resource {
  target = aws_sqs_queue.inbox
  values = { arn = "arn:aws:sqs:us-east-1:111122223333:headrace-loader", url = "https://sqs/headrace-loader" }
}

override_resource {
  target = aws_sqs_queue.dead
  values = { arn = "arn:aws:sqs:us-east-1:111122223333:headrace-loader-dead", url = "https://sqs/headrace-loader-dead" }
}

override_resource {
  target = aws_iam_role.task
  values = { arn = "arn:aws:iam::111122223333:role/headrace-loader-task" }
}

override_resource {
  target = aws_iam_role.execution
  values = { arn = "arn:aws:iam::111122223333:role/headrace-loader-start" }
}

variables {
  name = "loader"
  platform = {
    name               = "headrace"
    region             = "us-east-1"
    cluster_name       = "headrace"
    cluster_arn        = "arn:aws:ecs:us-east-1:111122223333:cluster/headrace"
    architecture       = "ARM64"
    image_registry     = "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace"
    image_tag          = "1.2.3"
    subnet_ids         = ["subnet-a", "subnet-b"]
    security_group_ids = ["sg-tasks"]
    log_retention_days = 365
    autoscaling        = true
    alarm_topic_arn    = "arn:aws:sns:us-east-1:111122223333:headrace-alerts"
  }
  size = {
    cpu_units         = 1024
    memory_mib        = 2048
    minimum_tasks     = 1
    maximum_tasks     = 10
    messages_per_task = 100
    environment       = { HEADRACE_LOADS = "8" }
  }
  environment = { HEADRACE_BUS_NAME = "headrace", HEADRACE_LOADS = "4" }
  policy_json = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "Read", Effect = "Allow", Action = "s3:GetObject", Resource = "*" }] })
  inbox = {
    rule_arns        = ["arn:aws:events:us-east-1:111122223333:rule/headrace/headrace-loader"]
    maximum_receives = 20
  }
}

run "task" {
  module {
    source = "./modules/service"
  }

  variables {
    secrets     = { HEADRACE_CURSOR_SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:cursors" }
    scratch_gib = 50
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).image == "111122223333.dkr.ecr.us-east-1.amazonaws.com/headrace-loader:1.2.3"
    error_message = "The image is the service's own, of the version that was asked for."
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).readonlyRootFilesystem
    error_message = "Nothing may be written into the image's file system."
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).mountPoints == [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }] && one(aws_ecs_task_definition.this.volume).name == "scratch"
    error_message = "The scratch volume is the one place to write to."
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).linuxParameters.capabilities.drop == ["ALL"]
    error_message = "No capability of the kernel is needed."
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).stopTimeout == 120
    error_message = "Fargate's longest: a load under way may end."
  }

  # What the service itself is told must fit into what ECS gives it.
  assert {
    condition = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).stopTimeout > sum([
      for one in one(jsondecode(aws_ecs_task_definition.this.container_definitions)).environment : tonumber(one.value)
      if contains(["HEADRACE_POLL_SECONDS", "HEADRACE_GRACE_SECONDS"], one.name)
    ])
    error_message = "The last poll and the grace period end before ECS kills the task."
  }

  assert {
    condition = {
      for one in one(jsondecode(aws_ecs_task_definition.this.container_definitions)).environment : one.name => one.value
      } == {
      HEADRACE_BUS_NAME           = "headrace"
      HEADRACE_LOADS              = "8"
      HEADRACE_INBOX_URL          = "https://sqs/headrace-loader"
      HEADRACE_VISIBILITY_SECONDS = "30"
      HEADRACE_POLL_SECONDS       = "20"
      HEADRACE_GRACE_SECONDS      = "90"
      HEADRACE_PROTECT_TASKS      = "true"
    }
    error_message = "Its settings, the inbox's numbers, and what the user adds, which wins."
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).secrets == [{ name = "HEADRACE_CURSOR_SECRET", valueFrom = "arn:aws:secretsmanager:us-east-1:111122223333:secret:cursors" }]
    error_message = "Secrets come by reference."
  }

  assert {
    condition     = slice(one(jsondecode(aws_ecs_task_definition.this.container_definitions)).healthCheck.command, 0, 2) == ["CMD", "python"]
    error_message = "ECS does not read the image's health check; it stands here, and needs no shell."
  }

  assert {
    condition     = one(jsondecode(aws_ecs_task_definition.this.container_definitions)).logConfiguration.options["mode"] == "non-blocking"
    error_message = "A service waits for no log."
  }

  assert {
    condition     = aws_ecs_task_definition.this.cpu == "1024" && aws_ecs_task_definition.this.memory == "2048" && one(aws_ecs_task_definition.this.ephemeral_storage).size_in_gib == 50
    error_message = "Its size is the one that was asked for."
  }

  assert {
    condition     = one(aws_ecs_task_definition.this.runtime_platform).cpu_architecture == "ARM64" && aws_ecs_task_definition.this.network_mode == "awsvpc"
    error_message = "Fargate, on the processor that was asked for."
  }

  assert {
    condition     = aws_ecs_task_definition.this.task_role_arn == aws_iam_role.task.arn && aws_ecs_task_definition.this.execution_role_arn == aws_iam_role.execution.arn
    error_message = "What the service may do and what ECS may do to start it are two roles."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 365
    error_message = "Log lines are kept as long as was asked for."
  }

  assert {
    condition     = alltrue([for s in data.aws_iam_policy_document.execution.statement : !contains(s.resources, "*") || s.actions == toset(["ecr:GetAuthorizationToken"])])
    error_message = "Only what AWS knows no resource for is allowed on all."
  }

  assert {
    condition     = [for s in data.aws_iam_policy_document.execution.statement : s.resources if s.sid == "PullItsImage"] == [toset(["arn:aws:ecr:us-east-1:111122223333:repository/headrace-loader"])]
    error_message = "It pulls from its own repository, which follows from the registry's address."
  }

  assert {
    condition     = toset(data.aws_iam_policy_document.execution.statement[*].sid) == toset(["WriteItsLog", "PullItsImage", "LogInToEcr", "ReadItsSecrets"])
    error_message = "What ECS may do to start it, and no more."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.trust.statement).condition == toset([{ test = "StringEquals", variable = "aws:SourceAccount", values = tolist(["111122223333"]) }])
    error_message = "Only tasks of this account take the roles."
  }
}

run "inbox" {
  module {
    source = "./modules/service"
  }

  assert {
    condition     = aws_sqs_queue.inbox[0].visibility_timeout_seconds == 30 && aws_sqs_queue.inbox[0].receive_wait_time_seconds == 20
    error_message = "Messages stay hidden as long as the service is told; polls are long."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.inbox[0].redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:us-east-1:111122223333:headrace-loader-dead", maxReceiveCount = 20 }
    error_message = "What cannot be handled goes to its own dead letters, after as many deliveries as was said."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead[0].redrive_allow_policy).sourceQueueArns == ["arn:aws:sqs:us-east-1:111122223333:headrace-loader"]
    error_message = "No other queue may leave its dead letters there."
  }

  assert {
    condition     = aws_sqs_queue.dead[0].message_retention_seconds == 1209600 && aws_sqs_queue.inbox[0].message_retention_seconds == 345600
    error_message = "Dead letters outlive the messages of the inbox."
  }

  assert {
    condition     = aws_sqs_queue.inbox[0].sqs_managed_sse_enabled && aws_sqs_queue.dead[0].sqs_managed_sse_enabled
    error_message = "Encrypted, with SQS's own key where no other is given."
  }

  assert {
    condition = one(data.aws_iam_policy_document.inbox[0].statement).condition == toset([{
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = tolist(["arn:aws:events:us-east-1:111122223333:rule/headrace/headrace-loader"])
    }])
    error_message = "Only its own rules may send."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.inbox[0].statement).actions == toset(["sqs:SendMessage"]) && one(data.aws_iam_policy_document.inbox[0].statement).resources == toset(["arn:aws:sqs:us-east-1:111122223333:headrace-loader"])
    error_message = "They may send to the inbox, and do nothing else."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.inbox_access[0].statement).resources == toset(["arn:aws:sqs:us-east-1:111122223333:headrace-loader"])
    error_message = "It reads its own inbox alone."
  }
}

run "alarms" {
  module {
    source = "./modules/service"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.dead_letters[0].dimensions == tomap({ QueueName = "headrace-loader-dead" }) && aws_cloudwatch_metric_alarm.dead_letters[0].threshold == 0
    error_message = "One dead letter is one too many."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.oldest_message[0].dimensions == tomap({ QueueName = "headrace-loader" }) && aws_cloudwatch_metric_alarm.oldest_message[0].threshold == 1800
    error_message = "A message that has waited half an hour in the inbox rings."
  }

  assert {
    condition     = [for q in aws_cloudwatch_metric_alarm.retries[0].metric_query : q.expression if q.return_data == true] == ["100 * retried / (retried + FILL(done, 0))"] && aws_cloudwatch_metric_alarm.retries[0].evaluation_periods == 3
    error_message = "Deliveries of which most come back for half an hour ring: their age does not."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.bugs.dimensions == tomap({ stack = "headrace", service = "loader" }) && aws_cloudwatch_metric_alarm.bugs.namespace == "Headrace"
    error_message = "Bugs are counted per stack and service."
  }

  assert {
    condition = alltrue([
      for alarm in [aws_cloudwatch_metric_alarm.dead_letters[0], aws_cloudwatch_metric_alarm.retries[0], aws_cloudwatch_metric_alarm.oldest_message[0], aws_cloudwatch_metric_alarm.bugs] :
      alarm.alarm_actions == toset([var.platform.alarm_topic_arn]) && alarm.treat_missing_data == "notBreaching"
    ])
    error_message = "Every alarm wakes somebody, and silence is no alarm."
  }
}

run "scaled_by_backlog" {
  module {
    source = "./modules/service"
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 1 && aws_appautoscaling_target.this[0].min_capacity == 1 && aws_appautoscaling_target.this[0].max_capacity == 10
    error_message = "It begins with the minimum and stays between the limits."
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].resource_id == "service/headrace/loader"
    error_message = "What is scaled is this service."
  }

  assert {
    condition     = one(aws_appautoscaling_policy.backlog[0].target_tracking_scaling_policy_configuration).target_value == 100
    error_message = "The backlog that one task is to have."
  }

  assert {
    condition = [
      for m in one(one(aws_appautoscaling_policy.backlog[0].target_tracking_scaling_policy_configuration).customized_metric_specification).metrics : m.expression if m.return_data
    ] == ["waiting / IF(FILL(running, REPEAT) > 0, FILL(running, REPEAT), 1)"]
    error_message = "Messages that wait, for each running task; never divided by zero."
  }

  assert {
    condition = {
      for m in one(one(aws_appautoscaling_policy.backlog[0].target_tracking_scaling_policy_configuration).customized_metric_specification).metrics :
      m.id => { for d in one(one(m.metric_stat).metric).dimensions : d.name => d.value } if !m.return_data
      } == {
      waiting = { QueueName = "headrace-loader" }
      running = { ClusterName = "headrace", ServiceName = "loader" }
    }
    error_message = "Its own inbox, divided by its own tasks."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.from_zero) == 0 && length(aws_appautoscaling_policy.cpu) == 0
    error_message = "It never falls to zero, and CPU has no say."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.protection[0].statement).resources == toset(["arn:aws:ecs:us-east-1:111122223333:task/headrace/*"])
    error_message = "A task may ask to be left alone while it works, in this cluster."
  }

  assert {
    condition     = one(aws_ecs_service.this.deployment_circuit_breaker).enable && one(aws_ecs_service.this.deployment_circuit_breaker).rollback
    error_message = "A deployment that does not come up is rolled back."
  }

  assert {
    condition     = aws_ecs_service.this.deployment_minimum_healthy_percent == 100 && aws_ecs_service.this.availability_zone_rebalancing == "ENABLED"
    error_message = "A deployment never leaves fewer tasks, and zones are balanced."
  }

  assert {
    condition     = aws_ecs_service.this.timeouts.update == "2h"
    error_message = "A deployment that waits for a protected load is not given up."
  }

  assert {
    condition     = !one(aws_ecs_service.this.network_configuration).assign_public_ip && one(aws_ecs_service.this.network_configuration).subnets == toset(["subnet-a", "subnet-b"])
    error_message = "Tasks have no address of the internet."
  }
}

run "an_apply_leaves_the_number_of_tasks_alone" {
  module {
    source = "./modules/service"
  }

  variables {
    size = { cpu_units = 1024, memory_mib = 2048, minimum_tasks = 2, maximum_tasks = 10, messages_per_task = 100 }
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 1 && aws_appautoscaling_target.this[0].min_capacity == 2
    error_message = "The limits change; within them scaling decides."
  }
}

run "scaled_from_zero" {
  state_key = "scaled_from_zero"

  module {
    source = "./modules/service"
  }

  variables {
    size = { cpu_units = 1024, memory_mib = 2048, minimum_tasks = 0, maximum_tasks = 3, messages_per_task = 100 }
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 0 && aws_appautoscaling_target.this[0].min_capacity == 0
    error_message = "Zero is allowed."
  }

  assert {
    condition     = one(aws_appautoscaling_policy.from_zero[0].step_scaling_policy_configuration).adjustment_type == "ChangeInCapacity" && one(one(aws_appautoscaling_policy.from_zero[0].step_scaling_policy_configuration).step_adjustment).scaling_adjustment == 1
    error_message = "Target tracking multiplies, and cannot leave zero: one task is started."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.from_zero[0].alarm_actions == toset([aws_appautoscaling_policy.from_zero[0].arn])
    error_message = "The alarm starts the task, and wakes nobody."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.from_zero[0].evaluation_periods == 3 && aws_cloudwatch_metric_alarm.from_zero[0].datapoints_to_alarm == 2
    error_message = "One minute whose figures are late starts nothing."
  }

  assert {
    condition     = [for q in aws_cloudwatch_metric_alarm.from_zero[0].metric_query : q.expression if q.return_data == true] == ["IF(FILL(running, 0) < 1, waiting, 0)"]
    error_message = "It rings only while messages wait and no task runs."
  }
}

run "scaled_by_cpu_without_an_inbox" {
  state_key = "scaled_by_cpu_without_an_inbox"

  module {
    source = "./modules/service"
  }

  variables {
    name             = "api"
    inbox            = null
    port             = 8080
    target_group_arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/headrace-api/0123456789abcdef"
    size             = { cpu_units = 256, memory_mib = 512, minimum_tasks = 2, maximum_tasks = 6 }
  }

  assert {
    condition     = one(one(aws_appautoscaling_policy.cpu[0].target_tracking_scaling_policy_configuration).predefined_metric_specification).predefined_metric_type == "ECSServiceAverageCPUUtilization"
    error_message = "Without an inbox, CPU decides."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.backlog) == 0 && length(data.aws_iam_policy_document.protection) == 0 && length(aws_sqs_queue.inbox) == 0 && length(aws_cloudwatch_metric_alarm.dead_letters) == 0
    error_message = "No inbox, and nothing that belongs to one."
  }

  assert {
    condition     = one(aws_ecs_service.this.load_balancer).container_port == 8080 && aws_ecs_service.this.health_check_grace_period_seconds == 60
    error_message = "The load balancer finds the API, and gives it time to start."
  }

  assert {
    condition     = one(one(jsondecode(aws_ecs_task_definition.this.container_definitions)).portMappings).containerPort == 8080
    error_message = "Its port is open."
  }
}

run "held_where_both_limits_are_the_same" {
  state_key = "held_where_both_limits_are_the_same"

  module {
    source = "./modules/service"
  }

  variables {
    size = { cpu_units = 1024, memory_mib = 2048, minimum_tasks = 3, maximum_tasks = 3, messages_per_task = 100 }
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].min_capacity == 3 && aws_appautoscaling_target.this[0].max_capacity == 3
    error_message = "The limits hold the number, and a change of them changes it."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.backlog) == 0 && length(aws_appautoscaling_policy.from_zero) == 0 && length(data.aws_iam_policy_document.protection) == 0
    error_message = "Nothing is left to decide."
  }
}

# The same state: switching makes no other service, and takes none away.
run "scaling_switched_on_for_a_service_that_is_there" {
  state_key = "held_where_both_limits_are_the_same"

  module {
    source = "./modules/service"
  }

  variables {
    size = { cpu_units = 1024, memory_mib = 2048, minimum_tasks = 1, maximum_tasks = 10, messages_per_task = 100 }
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 3 && aws_appautoscaling_target.this[0].min_capacity == 1 && length(aws_appautoscaling_policy.backlog) == 1
    error_message = "The service stays as it is, with the number of tasks that it has."
  }
}

run "fixed_where_scaling_is_off" {
  state_key = "fixed_where_scaling_is_off"

  module {
    source = "./modules/service"
  }

  variables {
    platform = {
      name               = "headrace"
      region             = "us-east-1"
      cluster_name       = "headrace"
      cluster_arn        = "arn:aws:ecs:us-east-1:111122223333:cluster/headrace"
      architecture       = "X86_64"
      image_registry     = "registry/headrace"
      image_tag          = "1.2.3"
      subnet_ids         = ["subnet-a", "subnet-b"]
      security_group_ids = ["sg-tasks"]
      log_retention_days = 365
      autoscaling        = false
      alarm_topic_arn    = "arn:aws:sns:us-east-1:111122223333:headrace-alerts"
    }
    size = { cpu_units = 1024, memory_mib = 2048, minimum_tasks = 3, maximum_tasks = 10, messages_per_task = 100 }
  }

  assert {
    condition     = aws_ecs_service.this.desired_count == 3
    error_message = "It begins with minimum_tasks."
  }

  assert {
    condition     = length(aws_appautoscaling_target.this) == 0 && length(aws_appautoscaling_policy.backlog) == 0 && length(data.aws_iam_policy_document.protection) == 0
    error_message = "Nothing scales, and no right that only scaling needs."
  }

  assert {
    condition     = [for one in one(jsondecode(aws_ecs_task_definition.this.container_definitions)).environment : one.value if one.name == "HEADRACE_PROTECT_TASKS"] == ["false"]
    error_message = "And no task asks to be protected from it."
  }

  assert {
    condition     = one(aws_ecs_service.this.deployment_circuit_breaker).enable && one(aws_ecs_service.this.deployment_circuit_breaker).rollback && aws_ecs_service.this.deployment_minimum_healthy_percent == 100 && aws_ecs_service.this.availability_zone_rebalancing == "ENABLED" && !one(aws_ecs_service.this.network_configuration).assign_public_ip
    error_message = "Deployed as carefully as the scaled one."
  }

  assert {
    condition     = one(aws_ecs_task_definition.this.runtime_platform).cpu_architecture == "X86_64"
    error_message = "The processor that was asked for."
  }

  assert {
    condition     = data.aws_iam_policy_document.execution.statement[*].sid == tolist(["WriteItsLog"])
    error_message = "Images that do not come from ECR need no right to it."
  }
}

run "own_key" {
  state_key = "own_key"

  module {
    source = "./modules/service"
  }

  variables {
    secrets = { HEADRACE_CURSOR_SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:cursors" }
    platform = {
      name               = "headrace"
      region             = "us-east-1"
      cluster_name       = "headrace"
      cluster_arn        = "arn:aws:ecs:us-east-1:111122223333:cluster/headrace"
      architecture       = "ARM64"
      image_registry     = "registry/headrace"
      image_tag          = "1.2.3"
      subnet_ids         = ["subnet-a", "subnet-b"]
      security_group_ids = ["sg-tasks"]
      log_retention_days = 365
      autoscaling        = true
      alarm_topic_arn    = "arn:aws:sns:us-east-1:111122223333:headrace-alerts"
      kms_key_arn        = "arn:aws:kms:us-east-1:111122223333:key/0123"
    }
  }

  assert {
    condition = alltrue([for key in [aws_sqs_queue.inbox[0].kms_master_key_id, aws_sqs_queue.dead[0].kms_master_key_id, aws_cloudwatch_log_group.this.kms_key_id] :
    key == "arn:aws:kms:us-east-1:111122223333:key/0123"])
    error_message = "Queues and log are encrypted with the key that was given."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.key_access.statement).resources == toset(["arn:aws:kms:us-east-1:111122223333:key/0123"]) && one(data.aws_iam_policy_document.key_access.statement).actions == toset(["kms:Decrypt", "kms:GenerateDataKey"])
    error_message = "The service may use that key, and no other."
  }

  assert {
    condition     = contains(data.aws_iam_policy_document.execution.statement[*].sid, "DecryptItsSecrets")
    error_message = "ECS may decrypt the secrets that it hands over."
  }
}

run "too_short_a_visibility_is_refused" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    inbox = { rule_arns = [], maximum_receives = 10, visibility_seconds = 10 }
  }

  expect_failures = [aws_sqs_queue.inbox]
}

run "dead_letters_that_die_on_arrival_are_refused" {
  command = plan

  module {
    source = "./modules/service"
  }

  variables {
    inbox = { rule_arns = [], maximum_receives = 10, retention_seconds = 345600, dead_retention_seconds = 345600 }
  }

  expect_failures = [aws_sqs_queue.dead]
}
