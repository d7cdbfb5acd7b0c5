variable "name" {
  description = "Name of this stack, the prefix of everything that it makes. Bucket names are `<name>-lake` and `<name>-quarantine`, so choose one that nobody else in the world has."
  type        = string
  default     = "headrace"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,26}[a-z0-9]$", var.name))
    error_message = "Use 3 to 28 lower-case letters, digits and hyphens, beginning with a letter: load balancers allow 32 characters, buckets no capitals."
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
  description = "Per service (router, loader, logger, api, verifier) what is to differ from the defaults in main.tf: size, number of tasks, the backlog that one task is to have, and further settings (the tables in the services' READMEs)."
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
    condition     = alltrue([for s in values(var.services) : coalesce(s.minimum_tasks, 0) <= coalesce(s.maximum_tasks, 10000)])
    error_message = "minimum_tasks must not be larger than maximum_tasks."
  }

  validation {
    condition     = try(var.services["verifier"].maximum_tasks, 1) == null ? true : try(var.services["verifier"].maximum_tasks, 1) <= 1
    error_message = "One verifier is enough; 0 tasks turn it off."
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
  description = "Whether each service is scaled by its backlog between minimum_tasks and maximum_tasks. false: it has minimum_tasks."
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
    host, port and dbname where `host` is not given here. `api_secret_arn` may name a read-only user for the API.
    Made here: `aurora` (Aurora Serverless v2; capacity in ACUs, 0 as minimum lets it pause).
    Redshift will be a third kind.
  TEXT
  type = object({
    secret_arn         = optional(string)
    api_secret_arn     = optional(string)
    secret_kms_key_arn = optional(string)
    host               = optional(string)
    port               = optional(number, 5432)
    database           = optional(string, "headrace")
    sslmode            = optional(string, "require")
    aurora = optional(object({
      engine_version      = optional(string, "17.5")
      minimum_acus        = optional(number, 0.5)
      maximum_acus        = optional(number, 8)
      instances           = optional(number, 2)
      backup_days         = optional(number, 7)
      deletion_protection = optional(bool, true)
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
    condition     = contains(["require", "verify-ca", "verify-full", "prefer", "disable"], var.warehouse.sslmode)
    error_message = "sslmode is one of libpq's: require, verify-ca, verify-full, prefer, disable."
  }
}

# --- Network --------------------------------------------------------------------------------------

variable "network" {
  description = <<-TEXT
    Yours: `vpc_id`, `task_subnet_ids` (private, with a way to S3, DynamoDB, SQS, EventBridge, Secrets Manager, ECR and
    CloudWatch Logs, by endpoints or NAT) and, for a public API, `public_subnet_ids`.
    Without `vpc_id` a VPC of `cidr_block` is made, with endpoints for exactly those, so that tasks need no NAT.
  TEXT
  type = object({
    vpc_id             = optional(string)
    task_subnet_ids    = optional(list(string), [])
    public_subnet_ids  = optional(list(string), [])
    cidr_block         = optional(string, "10.20.0.0/16")
    availability_zones = optional(number, 2)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.network.vpc_id == null ? true : length(var.network.task_subnet_ids) >= 2
    error_message = "With vpc_id give at least two task_subnet_ids, in two availability zones: a load balancer needs them."
  }

  validation {
    condition     = var.network.availability_zones >= 2 && var.network.availability_zones <= 3
    error_message = "2 or 3 availability zones."
  }
}

# --- API ------------------------------------------------------------------------------------------

variable "api_exposure" {
  description = <<-TEXT
    Who reaches the API. By default an internal load balancer answers inside the VPC (`allowed_cidrs`: the VPC's own).
    `public = true` puts it on the internet; then `certificate_arn` (ACM, for TLS) and `allowed_cidrs` are needed, and a WAF
    lets one address ask `requests_per_5_minutes` times. Whoever reaches it needs a key or a token as well (docs/api.md).
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
  description = "Who is written to when a drop ends badly or an alarm rings. Each address gets a mail from AWS to confirm."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "alert_on_success" {
  description = "Whether every loaded drop sends a message too."
  type        = bool
  default     = false
  nullable    = false
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
