# Headrace on AWS. Read in this order:
#
#   variables.tf      what you decide
#   lake.tf           the bucket that files are dropped into, and the quarantine beside it
#   bus.tf            facts, who hears which of them, and what could not be delivered
#   log.tf            the story of every drop (DynamoDB)
#   warehouse.tf      your Postgres, or an Aurora made here
#   network.tf        your VPC, or one made here that needs no NAT
#   router.tf loader.tf logger.tf api.tf verifier.tf     one service each, next to what it may do
#   alerts.tf dashboard.tf     what wakes people, and what they look at then
#
# modules/ holds the shapes that are used more than once, and the two that may be left out. There is no
# provider block here: this is a module, and examples/ has root modules that call it.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# The region of the provider: `id` is there in versions 5 and 6 of it.
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id

  # CPU units (1,024 are one vCPU), MiB, tasks, and the backlog that one task is to have.
  # The loader's memory: 200 MB at most were measured at any size of file, and twice that in the
  # reader of a large Parquet file.
  service_defaults = {
    router   = { cpu_units = 256, memory_mib = 512, minimum_tasks = 1, maximum_tasks = 4, messages_per_task = 500 }
    loader   = { cpu_units = 1024, memory_mib = 2048, minimum_tasks = 1, maximum_tasks = 10, messages_per_task = 100 }
    logger   = { cpu_units = 256, memory_mib = 512, minimum_tasks = 1, maximum_tasks = 8, messages_per_task = 1000 }
    api      = { cpu_units = 256, memory_mib = 512, minimum_tasks = 2, maximum_tasks = 6, messages_per_task = null }
    verifier = { cpu_units = 256, memory_mib = 512, minimum_tasks = 1, maximum_tasks = 1, messages_per_task = null }
  }

  # A maximum alone lowers the minimum where that is larger: `maximum_tasks = 0` turns a service off. A
  # minimum alone raises no maximum, which costs: that is refused below.
  services = {
    for service, defaults in local.service_defaults : service => merge(
      defaults,
      { environment = {} },
      { minimum_tasks = min(defaults.minimum_tasks, coalesce(try(var.services[service].maximum_tasks, null), defaults.maximum_tasks)) },
      { for name, value in try(var.services[service], {}) : name => value if value != null },
    )
  }

  contradictory_limits = [
    for service, one in local.services : "${service} has minimum_tasks ${one.minimum_tasks} and maximum_tasks ${one.maximum_tasks}"
    if one.minimum_tasks > one.maximum_tasks
  ]

  # What every service is told; its own settings stand in its file.
  common_environment = {
    HEADRACE_LOG_FORMAT    = "json"
    HEADRACE_METRICS_STACK = var.name
    # The name that Python's SDK reads.
    AWS_DEFAULT_REGION = local.region
  }

  # What every task shares, whatever it runs.
  platform = {
    name               = var.name
    region             = local.region
    cluster_name       = aws_ecs_cluster.this.name
    cluster_arn        = aws_ecs_cluster.this.arn
    architecture       = var.architecture
    image_registry     = var.image_registry
    image_tag          = var.image_tag
    subnet_ids         = local.network.task_subnet_ids
    security_group_ids = local.task_security_group_ids
    log_retention_days = var.log_retention_days
    kms_key_arn        = var.kms_key_arn
    autoscaling        = var.autoscaling
    alarm_topic_arn    = aws_sns_topic.alerts.arn
  }
}

# Container Insights writes here. Without this group it makes one that stays for ever.
resource "aws_cloudwatch_log_group" "insights" {
  name              = "/aws/ecs/containerinsights/${var.name}/performance"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_cluster" "this" {
  name       = var.name
  depends_on = [aws_cloudwatch_log_group.insights]

  # Scaling divides the backlog by the number of running tasks, which Container Insights counts.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }

  lifecycle {
    precondition {
      condition     = length(local.contradictory_limits) == 0
      error_message = "In `services`, ${join("; ", local.contradictory_limits)}. A limit that is not given has its default (main.tf): give both."
    }
  }
}
