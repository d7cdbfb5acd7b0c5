variable "name" {
  description = "Name of this stack, the prefix of everything that it makes. Buckets get the account's number as well: `<name>-lake-<account>`. Two stacks of one account need two names, in different regions too: roles and buckets know no region."
  type        = string
  default     = "headrace"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}[a-z0-9]$", var.name))
    error_message = "Use 3 to 28 lower-case letters, digits and hyphens, beginning with a letter: load balancers allow 32 characters, buckets no capitals."
  }

  validation {
    condition     = !strcontains(var.name, "--") && length([for prefix in ["internal-", "xn--", "sthree-", "amzn-s3-demo-"] : prefix if startswith(var.name, prefix)]) == 0
    error_message = "Use no two hyphens in a row, which RDS refuses, and do not begin with internal-, xn--, sthree- or amzn-s3-demo-, which load balancers and S3 keep for themselves."
  }
}

variable "databases" {
  description = "The db_names that files may be dropped for, each a schema of the warehouse; [\"*\"] allows any."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.databases) > 0
    error_message = "Name at least one database, or [\"*\"] for any."
  }
}

variable "routes" {
  description = "Where keys go that are not laid out as `db_name/action/table_name/file`, so that Headrace can be put onto a bucket that is there: `raw/orders/dt={dt}/*.csv.gz -> shop/append/orders`. The first route that fits a key decides. With routes, other keys are left alone."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for route in var.routes : can(regex("^[^/\\s][^/]*(/[^/]+)*\\s*->\\s*[^/\\s]+/(append|truncate|upsert|schema|\\{[a-z_][a-z0-9_]*\\})/[^/\\s]+\\s*$", route))])
    error_message = "Write each route as PATTERN -> db_name/action/table_name, with an action of append, truncate, upsert or schema."
  }

  # A task's environment may have 32 KB: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
  validation {
    condition     = length(jsonencode(var.routes)) <= 24000
    error_message = "All routes together may have 24,000 characters; write fewer, with * and {table}."
  }
}

variable "own_layout" {
  description = "Whether keys `db_name/action/table_name/file` are drops; false: only keys that a route fits."
  type        = bool
  default     = true
  nullable    = false

  validation {
    condition     = var.own_layout || length(var.routes) > 0
    error_message = "Without the own layout, name at least one route."
  }
}

variable "lake_since" {
  description = "When Headrace was put onto a bucket that had objects already, such as `2026-11-27T12:00:00Z`: the verifier leaves older objects alone, and `headrace backfill` loads them. Null: every object of the bucket is a drop."
  type        = string
  default     = null

  validation {
    condition     = var.lake_since == null || can(formatdate("YYYY", var.lake_since))
    error_message = "Write a time with its offset, such as 2026-11-27T12:00:00Z."
  }
}

variable "contracts_inferred_for" {
  description = "The db_names whose tables get a contract from their first CSV file if nobody has dropped one; [\"*\"] is any."
  type        = set(string)
  default     = []
  nullable    = false
}

# --- Images ---------------------------------------------------------------------------------------

variable "image_registry" {
  description = "Where the images are, up to the service's name: `<account>.dkr.ecr.<region>.amazonaws.com/headrace` has repositories `headrace-router`, `headrace-loader` ... (registry/ makes them). From an ECR address the right to pull is derived, for each service its own repository. A registry in another region, or outside of AWS, is reached only where tasks have a way out of the VPC (`network.nat`, or your own VPC's)."
  type        = string
  nullable    = false
}

variable "image_tag" {
  description = "Tag of the images of all services: one version is deployed together."
  type        = string
  nullable    = false

  validation {
    condition     = var.image_tag != "latest"
    error_message = "Name a version: with `latest` nobody can say what is running, and a roll-back rolls back to nothing."
  }
}

variable "architecture" {
  description = "Processor of the tasks: ARM64 (a fifth cheaper) or X86_64; the images must have been built for it."
  type        = string
  default     = "ARM64"
  nullable    = false

  validation {
    condition     = contains(["ARM64", "X86_64"], var.architecture)
    error_message = "ARM64 or X86_64."
  }
}

# --- Services -------------------------------------------------------------------------------------

variable "services" {
  description = "Per service (router, loader, logger, api, verifier) what is to differ from the defaults in main.tf: size, number of tasks (`maximum_tasks = 0` turns a service off), the backlog that one task is to have, and further settings (the tables in the services' READMEs)."
  type = map(object({
    cpu_units         = optional(number)
    memory_mib        = optional(number)
    minimum_tasks     = optional(number)
    maximum_tasks     = optional(number)
    messages_per_task = optional(number)
    environment       = optional(map(string))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.services), ["router", "loader", "logger", "api", "verifier"])) == 0
    error_message = "Services are router, loader, logger, api and verifier."
  }

  validation {
    condition     = coalesce(try(var.services["verifier"].maximum_tasks, null), 1) <= 1
    error_message = "One verifier is enough; maximum_tasks = 0 turns it off."
  }

  # Who may describe a task definition reads its environment.
  validation {
    condition = !anytrue(flatten([
      for s in values(var.services) : [for value in values(coalesce(s.environment, {})) : can(regex("(?i)password\\s*=|://[^/@\\s]+:[^/@\\s]+@", value))]
    ]))
    error_message = "A password stands in an environment: put it into the warehouse's secret."
  }
}

variable "autoscaling" {
  description = "Whether each service is scaled by its backlog between minimum_tasks and maximum_tasks; where both are the same, it is held there. false: it starts with minimum_tasks, and then its number of tasks is yours to change (`aws ecs update-service --desired-count`): an apply leaves it alone."
  type        = bool
  default     = true
  nullable    = false
}

variable "verification_interval_seconds" {
  description = "From one verification of lake, ledger, log and tables to the next, in seconds."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.verification_interval_seconds >= 60 && var.verification_interval_seconds <= 604800
    error_message = "At least 60, for each verification lists the lake and reads the log; at most a week, the longest that an alarm looks back."
  }
}

# --- Warehouse ------------------------------------------------------------------------------------

variable "warehouse" {
  description = <<-TEXT
    The database that is loaded: Postgres 17 or later.
    Yours: `secret_arn` names a Secrets Manager secret, JSON with username and password (as RDS writes it), and
    host, port and dbname where `host` is not given here. `port` is also the one that tasks are let out to: give it
    where the secret has another than 5432. `api_secret_arn` may name a read-only user for the API. `sslmode` is
    `require` by default, which encrypts and verifies nothing; `verify-full` verifies RDS and Aurora with the bundle in
    the images (another authority: `HEADRACE_WAREHOUSE_CA_FILE` in `services`).
    Made here: `aurora` (Aurora Serverless v2, `verify-full`). `engine_version` is a major version, for which AWS chooses
    the minor one. Capacity is in ACUs; 0 as minimum lets it pause, but only while no loader, verifier and API runs. A
    higher `password_generation` makes another password for the services' role.
    Redshift will be a third kind.
  TEXT
  type = object({
    secret_arn         = optional(string)
    api_secret_arn     = optional(string)
    secret_kms_key_arn = optional(string)
    host               = optional(string)
    port               = optional(number, 5432)
    database           = optional(string, "headrace")
    sslmode            = optional(string)
    aurora = optional(object({
      engine_version      = optional(string, "17")
      minimum_acus        = optional(number, 0.5)
      maximum_acus        = optional(number, 8)
      instances           = optional(number, 2)
      backup_days         = optional(number, 7)
      deletion_protection = optional(bool, true)
      password_generation = optional(number, 1)
    }))
  })
  nullable = false

  validation {
    condition     = (var.warehouse.secret_arn == null) != (var.warehouse.aurora == null)
    error_message = "Give either secret_arn (your own Postgres) or aurora (one made here)."
  }

  validation {
    condition     = var.warehouse.aurora == null ? true : tonumber(split(".", var.warehouse.aurora.engine_version)[0]) >= 17
    error_message = "Aurora Postgres 17 or later: the loader needs COPY's ON_ERROR."
  }

  validation {
    condition     = var.warehouse.sslmode == null ? true : contains(["require", "verify-ca", "verify-full", "prefer", "disable"], var.warehouse.sslmode)
    error_message = "sslmode is one of libpq's: require, verify-ca, verify-full, prefer, disable."
  }
}

# --- Network --------------------------------------------------------------------------------------

variable "network" {
  description = <<-TEXT
    Yours: `vpc_id`, `task_subnet_ids` (private, with a way to S3, DynamoDB, SQS, EventBridge, Secrets Manager, ECR and
    CloudWatch Logs, by endpoints or NAT) and, for a public API, `public_subnet_ids`.
    Tasks that ask to be left alone while they work may need ECS itself as well: neither the documentation nor a trial
    says so, and the VPC made here has that endpoint.
    Without `vpc_id` a VPC of `cidr_block` (/16 to /20) is made, with endpoints for those, so that tasks need no NAT. They
    have no way to the internet then: no tokens of an OIDC issuer (`HEADRACE_JWT_*`), no images from outside of the
    region's ECR. `nat = true` adds a NAT gateway.
  TEXT
  type = object({
    vpc_id             = optional(string)
    task_subnet_ids    = optional(list(string), [])
    public_subnet_ids  = optional(list(string), [])
    cidr_block         = optional(string, "10.20.0.0/16")
    availability_zones = optional(number, 2)
    nat                = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = (var.network.vpc_id == null) == (length(var.network.task_subnet_ids) == 0) && length(var.network.task_subnet_ids) != 1
    error_message = "Give vpc_id together with at least two task_subnet_ids, in two availability zones: a load balancer needs them."
  }

  validation {
    condition     = var.network.availability_zones >= 2 && var.network.availability_zones <= 3
    error_message = "2 or 3 availability zones."
  }

  validation {
    condition     = length(var.network.task_subnet_ids) == 0 || !var.network.nat
    error_message = "A NAT gateway is made in a VPC made here only: give yours its own."
  }

  validation {
    condition     = can(cidrnetmask(var.network.cidr_block)) && try(tonumber(split("/", var.network.cidr_block)[1]) >= 16 && tonumber(split("/", var.network.cidr_block)[1]) <= 20, false)
    error_message = "cidr_block is an IPv4 block of /16 to /20, for example 10.20.0.0/16: a sixteenth of it is one subnet, which holds tasks, endpoints and the load balancer."
  }
}

# --- API ------------------------------------------------------------------------------------------

variable "api_exposure" {
  description = <<-TEXT
    Who reaches the API. By default an internal load balancer answers inside the VPC (`allowed_cidrs`: the VPC's own), by
    plain HTTP: keys and tokens are readable on the way. `certificate_arn` (ACM) gives it TLS; then `url` is needed, the
    address that the certificate is for. `route53_zone_id` makes the DNS record of that address; without it make one
    yourself, from the outputs `load_balancer_dns_name` and `load_balancer_zone_id`.
    `public = true` puts it on the internet; then `certificate_arn` and `allowed_cidrs` are needed, and a WAF lets one
    address ask `requests_per_5_minutes` times. A caller needs a key or a token as well (docs/api.md).
    `access_log_bucket` names a bucket of yours for the load balancer's access log.
  TEXT
  type = object({
    public                 = optional(bool, false)
    certificate_arn        = optional(string)
    allowed_cidrs          = optional(list(string), [])
    requests_per_5_minutes = optional(number, 2000)
    access_log_bucket      = optional(string)
    deletion_protection    = optional(bool, true)
    url                    = optional(string)
    route53_zone_id        = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = !var.api_exposure.public || (var.api_exposure.certificate_arn != null && length(var.api_exposure.allowed_cidrs) > 0)
    error_message = "A public API needs certificate_arn, for TLS, and allowed_cidrs: name who may reach it."
  }

  validation {
    condition     = var.api_exposure.requests_per_5_minutes >= 100
    error_message = "WAF counts at least 100 requests in 5 minutes."
  }

  validation {
    condition     = var.api_exposure.certificate_arn == null || can(regex("^https://[a-z0-9.-]+$", coalesce(var.api_exposure.url, "none")))
    error_message = "With certificate_arn give url, for example https://headrace.example.com: no certificate is for the load balancer's own name."
  }

  validation {
    condition     = var.api_exposure.route53_zone_id == null || var.api_exposure.certificate_arn != null
    error_message = "route53_zone_id makes the record of url, which needs certificate_arn."
  }
}

variable "cursor_secret" {
  description = "The secret that signs the cursors of the API's pages. It is made here, and anew when `generation` is raised (the API's tasks take it when they start); or `arn` names one of yours."
  type = object({
    arn        = optional(string)
    generation = optional(number, 1)
  })
  default  = {}
  nullable = false
}

# --- Alerts ---------------------------------------------------------------------------------------

variable "alert_emails" {
  description = "Who gets the alarms by mail, rejected and failed drops among them. Each address gets a mail from AWS to confirm."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "alert_each_drop" {
  description = "Final states of which each drop sends a message of its own, with file, reason and remedy: `rejected` (failed ones too), `loaded`. Without them an alarm counts the bad ones, and sends one message for all of five minutes: a thousand bad files are one mail."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(setsubtract(var.alert_each_drop, ["rejected", "loaded"])) == 0
    error_message = "alert_each_drop knows rejected and loaded."
  }
}

variable "oldest_message_minutes" {
  description = "An alarm rings when a message has been in an inbox for so long, in minutes."
  type        = number
  default     = 30
  nullable    = false
}

# --- Keeping --------------------------------------------------------------------------------------

variable "kms_key_arn" {
  description = "Your own KMS key for buckets, queues, topics, log and secrets (README: what its policy must allow). null: keys that AWS manages."
  type        = string
  default     = null
}

variable "log_expiry_days" {
  description = "Days after its last change when a drop's story leaves the log; 0 keeps it for ever. More than 14: a message can wait that long in a dead-letter queue."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.log_expiry_days == 0 || var.log_expiry_days > 14
    error_message = "0, or more than 14: a message can wait 14 days in a dead-letter queue, and its drop must still be known then."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the services' log lines; one of the numbers that CloudWatch Logs knows."
  type        = number
  default     = 365
  nullable    = false
}

variable "lake_bucket" {
  description = "A bucket of yours as the lake, in the stack's region: with versions, and with EventBridge notifications on (README, \"A lake of your own\"). null: one is made."
  type        = string
  default     = null
}

variable "lake_policy_json" {
  description = "Further statements of the bucket policy of the lake that is made here, for example to let another account drop files (README, \"Files from another account\")."
  type        = string
  default     = null

  validation {
    condition     = var.lake_policy_json == null || var.lake_bucket == null
    error_message = "The policy of a lake_bucket of yours is yours to set."
  }
}

variable "lake_old_version_days" {
  description = "Days that S3 keeps a version of a file that was replaced or deleted. `rebuild` reads old versions: 0 keeps them for ever."
  type        = number
  default     = 0
  nullable    = false
}

variable "quarantine_days" {
  description = "Days that bad rows and reports are kept; 0 keeps them for ever."
  type        = number
  default     = 90
  nullable    = false
}

variable "archive_days" {
  description = "Days that the bus keeps every fact, for a replay; 0 keeps them for ever."
  type        = number
  default     = 30
  nullable    = false
}

variable "destroy_with_data" {
  description = "Whether `terraform destroy` may delete buckets with files in them, the log, and secrets at once. Leave it false where data matters."
  type        = bool
  default     = false
  nullable    = false
}

variable "emulated" {
  description = "Whether this is applied to an AWS emulator: buckets are addressed by path."
  type        = bool
  default     = false
  nullable    = false
}
