# One service: its inbox with dead letters, the roles, the task definition and the ECS service.
# Scaling and alarms stand in files of their own.

locals {
  full_name = "${var.platform.name}-${var.name}"

  # ECS ends a task this long after SIGTERM (Fargate: 120 s at most). The poll in flight and the
  # grace period both fit in.
  stop_seconds  = 120
  poll_seconds  = 20
  grace_seconds = 90

  inbox_environment = var.inbox == null ? {} : {
    HEADRACE_INBOX_URL          = aws_sqs_queue.inbox[0].url
    HEADRACE_VISIBILITY_SECONDS = tostring(var.inbox.visibility_seconds)
    HEADRACE_POLL_SECONDS       = tostring(local.poll_seconds)
    HEADRACE_GRACE_SECONDS      = tostring(local.grace_seconds)
    HEADRACE_PROTECT_TASKS      = tostring(local.protected)
  }

  environment = merge(var.environment, local.inbox_environment, var.size.environment)
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/headrace/${var.platform.name}/${var.name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.kms_key_arn
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.full_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.size.cpu_units
  memory                   = var.size.memory_mib
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    cpu_architecture        = var.platform.architecture
    operating_system_family = "LINUX"
  }

  # The one place that a service writes to: Parquet files and archives on their way, and its pulse.
  volume {
    name = "scratch"
  }

  ephemeral_storage {
    size_in_gib = var.scratch_gib
  }

  container_definitions = jsonencode([{
    name      = var.name
    image     = "${var.platform.image_registry}-${var.name}:${var.platform.image_tag}"
    essential = true

    environment = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    secrets     = [for name in sort(keys(var.secrets)) : { name = name, valueFrom = var.secrets[name] }]

    readonlyRootFilesystem = true
    mountPoints            = [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }]
    linuxParameters        = { capabilities = { drop = ["ALL"] }, initProcessEnabled = false }
    portMappings           = var.port == null ? [] : [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }]
    stopTimeout            = local.stop_seconds

    # ECS does not read the image's own. The file is touched while the service's loop turns; one
    # poll with all its retries may take some minutes where AWS is out of reach.
    healthCheck = {
      command     = ["CMD", "python", "-m", "headrace_shared.health", "/tmp/alive", "--seconds", "300"]
      interval    = 30
      timeout     = 10
      retries     = 3
      startPeriod = 60
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        "awslogs-group"         = aws_cloudwatch_log_group.this.name
        "awslogs-region"        = var.platform.region
        "awslogs-stream-prefix" = var.name
        # A service waits for no log: lines wait in memory, and the oldest go first if need be.
        "mode"            = "non-blocking"
        "max-buffer-size" = "25m"
      }
    }
  }])

  lifecycle {
    precondition {
      condition     = local.poll_seconds + local.grace_seconds < local.stop_seconds
      error_message = "The last poll and the grace period must end before ECS kills the task."
    }
  }
}

# The number of tasks is set once. After that scaling or a call of ECS changes it: an apply leaves it
# alone, because `ignore_changes` cannot depend on a variable, and two resources of which one exists
# would be deleted and made with the same name in one apply, which ECS refuses.
resource "aws_ecs_service" "this" {
  name            = var.name
  cluster         = var.platform.cluster_arn
  task_definition = aws_ecs_task_definition.this.arn
  launch_type     = "FARGATE"
  desired_count   = var.size.minimum_tasks

  availability_zone_rebalancing      = "ENABLED"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = var.target_group_arn == null ? null : 60
  propagate_tags                     = "SERVICE"
  wait_for_steady_state              = true

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.platform.subnet_ids
    security_groups  = var.platform.security_group_ids
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = var.target_group_arn == null ? [] : [var.target_group_arn]
    content {
      target_group_arn = load_balancer.value
      container_name   = var.name
      container_port   = var.port
    }
  }

  # A task that works is protected, and a deployment waits for it.
  timeouts {
    create = "30m"
    update = "2h"
    delete = "2h"
  }

  # Its tasks must be allowed what they do before they start.
  depends_on = [aws_iam_role_policy.task, aws_iam_role_policy.execution]

  lifecycle {
    ignore_changes = [desired_count]

    # ECS is stable after a roll-back too, with the old version: the provider's wait alone succeeds then.
    postcondition {
      condition     = self.task_definition == aws_ecs_task_definition.this.arn
      error_message = "ECS rolled ${var.name} back: its new tasks did not become healthy, and the old ones run on. The service's events and its log (/headrace/${var.platform.name}/${var.name}) name the cause; correct it and apply again."
    }
  }
}
