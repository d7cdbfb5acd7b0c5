# Between a minimum and a maximum of tasks: by the backlog of each task, or by CPU without an inbox.

locals {
  # Where both are the same there is nothing to decide; the limits alone hold the number.
  scaled     = var.platform.autoscaling && var.size.maximum_tasks > var.size.minimum_tasks
  by_backlog = local.scaled && var.inbox != null
  by_cpu     = local.scaled && var.inbox == null
  protected  = local.by_backlog
}

# Changed limits move the number of tasks by themselves
# (https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scaling-activities.html).
resource "aws_appautoscaling_target" "this" {
  count              = var.platform.autoscaling ? 1 : 0
  service_namespace  = "ecs"
  resource_id        = "service/${var.platform.cluster_name}/${aws_ecs_service.this.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = var.size.minimum_tasks
  max_capacity       = var.size.maximum_tasks
}

resource "aws_appautoscaling_policy" "backlog" {
  count              = local.by_backlog ? 1 : 0
  name               = "${local.full_name}-backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.size.messages_per_task
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      metrics {
        id          = "waiting"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"

            dimensions {
              name  = "QueueName"
              value = aws_sqs_queue.inbox[0].name
            }
          }
        }
      }

      metrics {
        id          = "running"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = var.platform.cluster_name
            }

            dimensions {
              name  = "ServiceName"
              value = var.name
            }
          }
        }
      }

      # A metric that comes late has no value in the newest minute: then the one before it counts. With a
      # number in its place the whole backlog would count as one task's.
      metrics {
        id          = "waiting_per_task"
        label       = "Messages that wait, per running task"
        expression  = "waiting / IF(FILL(running, REPEAT) > 0, FILL(running, REPEAT), 1)"
        return_data = true
      }
    }
  }
}

# Target tracking multiplies the present number of tasks, and so cannot leave zero: this does.
resource "aws_appautoscaling_policy" "from_zero" {
  count              = local.by_backlog && var.size.minimum_tasks == 0 ? 1 : 0
  name               = "${local.full_name}-from-zero"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  step_scaling_policy_configuration {
    # One more: an alarm that is wrong about the tasks can start one too many, and never end any.
    adjustment_type = "ChangeInCapacity"
    cooldown        = 60

    step_adjustment {
      metric_interval_lower_bound = 0
      scaling_adjustment          = 1
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "from_zero" {
  count               = length(aws_appautoscaling_policy.from_zero)
  alarm_name          = "${local.full_name}-from-zero"
  alarm_description   = "Messages wait for the ${var.name} and no task of it runs: one is started. There is nothing to do."
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_appautoscaling_policy.from_zero[0].arn]

  metric_query {
    id          = "stranded"
    expression  = "IF(FILL(running, 0) < 1, waiting, 0)"
    label       = "Messages that wait while no task runs"
    return_data = true
  }

  metric_query {
    id = "waiting"

    metric {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.inbox[0].name }
      period      = 60
      stat        = "Maximum"
    }
  }

  metric_query {
    id = "running"

    metric {
      namespace   = "ECS/ContainerInsights"
      metric_name = "RunningTaskCount"
      dimensions  = { ClusterName = var.platform.cluster_name, ServiceName = var.name }
      period      = 60
      stat        = "Maximum"
    }
  }
}

resource "aws_appautoscaling_policy" "cpu" {
  count              = local.by_cpu ? 1 : 0
  name               = "${local.full_name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
