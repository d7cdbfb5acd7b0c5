# What people look at: the drops first, then what carries them. Metrics: docs/metrics.md.

locals {
  inbox_services = ["router", "loader", "logger"]
  good_states    = ["loaded", "superseded", "reverted"]
  bad_states     = ["rejected", "failed"]

  # Widths are of CloudWatch's grid of 24.
  widgets = [
    {
      title = "Drops by end state", width = 12, stat = "Sum", stacked = true
      metrics = [for state in concat(local.good_states, local.bad_states) :
        ["Headrace", "drops", "stack", var.name, "state", state, { label = state }]
      ]
    },
    {
      title = "Landing to loaded (ms)", width = 12, stat = "p50", stacked = false
      metrics = [for stat in ["p50", "p99"] :
        ["Headrace", "landing_to_loaded_ms", "stack", var.name, { stat = stat, label = stat }]
      ]
    },
    {
      title = "Backlog (messages that wait)", width = 8, stat = "Maximum", stacked = false
      metrics = [for service in local.inbox_services :
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.service_modules[service].inbox_name, { label = service }]
      ]
    },
    {
      title = "Age of the oldest message (s)", width = 8, stat = "Maximum", stacked = false
      metrics = [for service in local.inbox_services :
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", local.service_modules[service].inbox_name, { label = service }]
      ]
    },
    {
      title = "Dead letters", width = 8, stat = "Maximum", stacked = false
      metrics = concat(
        [for service in local.inbox_services :
          ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.service_modules[service].dead_letters_name, { label = service }]
        ],
        [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.undelivered.name, { label = "bus" }]],
      )
    },
    {
      title = "Rows", width = 8, stat = "Sum", stacked = false
      metrics = [for metric in ["rows_loaded", "rows_quarantined"] :
        ["Headrace", metric, "stack", var.name, { label = metric }]
      ]
    },
    {
      title = "Messages done, by service", width = 8, stat = "Sum", stacked = false
      metrics = [for service in local.inbox_services :
        ["Headrace", "messages", "stack", var.name, "service", service, "outcome", "done", { label = service }]
      ]
    },
    {
      title = "Tasks that run", width = 8, stat = "Average", stacked = false
      metrics = [for service in keys(local.service_modules) :
        ["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", aws_ecs_cluster.this.name, "ServiceName", service, { label = service }]
      ]
    },
    {
      title = "Time in hand, p99 (ms)", width = 8, stat = "p99", stacked = false
      metrics = [for service in local.inbox_services :
        ["Headrace", "message_ms", "stack", var.name, "service", service, "outcome", "done", { label = service }]
      ]
    },
    {
      title = "Messages that come again", width = 8, stat = "Sum", stacked = false
      metrics = [for service in local.inbox_services :
        ["Headrace", "messages", "stack", var.name, "service", service, "outcome", "retried", { label = service }]
      ]
    },
    {
      title = "Bugs, and differences that nothing mends", width = 8, stat = "Sum", stacked = false
      metrics = concat(
        [for service in keys(local.service_modules) :
          ["Headrace", "bugs", "stack", var.name, "service", service, { label = "bugs of ${service}" }]
        ],
        [["Headrace", "differences_left", "stack", var.name, { stat = "Maximum", label = "differences left" }]],
      )
    },
    {
      title = "Answers of the API", width = 12, stat = "Sum", stacked = true
      metrics = [for class in ["2xx", "3xx", "4xx", "5xx"] :
        ["Headrace", "requests", "stack", var.name, "status_class", class, { label = class }]
      ]
    },
    {
      title   = "Answers of the API, p99 (ms)", width = 12, stat = "p99", stacked = false
      metrics = [["Headrace", "request_ms", "stack", var.name, "status_class", "2xx", { label = "2xx" }]]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  # Without x and y, CloudWatch lays widgets out from left to right.
  dashboard_body = jsonencode({
    widgets = [for widget in local.widgets : {
      type   = "metric"
      width  = widget.width
      height = 6
      properties = {
        title   = widget.title
        region  = local.region
        view    = "timeSeries"
        period  = 60
        stat    = widget.stat
        stacked = widget.stacked
        metrics = widget.metrics
      }
    }]
  })
}
