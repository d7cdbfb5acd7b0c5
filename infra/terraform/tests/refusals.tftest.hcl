# What is refused, before anything is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  databases      = ["dev"]
  image_registry = "registry/headrace"
  image_tag      = "1.2.3"
  cursor_secret  = { arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:cursors-AbCdEf" }
  warehouse      = { secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:warehouse-AbCdEf" }
}

run "a_name_that_no_bucket_may_have" {
  command = plan

  variables {
    name = "Headrace"
  }

  expect_failures = [var.name]
}

run "a_name_too_long_for_a_load_balancer" {
  command = plan

  variables {
    name = "a-name-of-twenty-nine-letters"
  }

  expect_failures = [var.name]
}

run "no_database" {
  command = plan

  variables {
    databases = []
  }

  expect_failures = [var.databases]
}

run "a_route_without_a_target" {
  command = plan

  variables {
    routes = ["raw/orders/*.csv"]
  }

  expect_failures = [var.routes]
}

run "a_route_to_an_unknown_action" {
  command = plan

  variables {
    routes = ["raw/orders/dt={dt}/*.csv -> shop/append/orders", "raw/*.csv -> shop/load/orders"]
  }

  expect_failures = [var.routes]
}

run "no_layout_and_no_route" {
  command = plan

  variables {
    own_layout = false
  }

  expect_failures = [var.own_layout]
}

run "a_time_without_an_offset" {
  command = plan

  variables {
    lake_since = "yesterday"
  }

  expect_failures = [var.lake_since]
}

run "latest" {
  command = plan

  variables {
    image_tag = "latest"
  }

  expect_failures = [var.image_tag]
}

run "an_unknown_processor" {
  command = plan

  variables {
    architecture = "arm"
  }

  expect_failures = [var.architecture]
}

run "an_unknown_service" {
  command = plan

  variables {
    services = { reader = { minimum_tasks = 1 } }
  }

  expect_failures = [var.services]
}

run "a_minimum_above_the_maximum" {
  command = plan

  variables {
    services = { loader = { minimum_tasks = 5, maximum_tasks = 4 } }
  }

  expect_failures = [aws_ecs_cluster.this]
}

run "a_minimum_above_the_default_maximum" {
  command = plan

  variables {
    services = { loader = { minimum_tasks = 12 } }
  }

  expect_failures = [aws_ecs_cluster.this]
}

run "two_verifiers_by_their_minimum" {
  command = plan

  variables {
    services = { verifier = { minimum_tasks = 2 } }
  }

  expect_failures = [aws_ecs_cluster.this]
}

run "a_name_that_load_balancers_keep" {
  command = plan

  variables {
    name = "internal-headrace"
  }

  expect_failures = [var.name]
}

run "a_name_that_rds_refuses" {
  command = plan

  variables {
    name = "head--race"
  }

  expect_failures = [var.name]
}

run "a_network_too_small_for_its_subnets" {
  command = plan

  variables {
    network = { cidr_block = "10.20.0.0/24" }
  }

  expect_failures = [var.network]
}

run "a_network_larger_than_a_vpc" {
  command = plan

  variables {
    network = { cidr_block = "10.0.0.0/12" }
  }

  expect_failures = [var.network]
}

run "a_network_that_is_none" {
  command = plan

  variables {
    network = { cidr_block = "10.20" }
  }

  expect_failures = [var.network]
}

run "nat_in_a_network_of_yours" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", task_subnet_ids = ["subnet-a", "subnet-b"], nat = true }
  }

  expect_failures = [var.network]
}

run "a_certificate_without_the_address_that_it_is_for" {
  command = plan

  variables {
    api_exposure = { certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/0123" }
  }

  expect_failures = [var.api_exposure]
}

run "a_record_without_a_certificate" {
  command = plan

  variables {
    api_exposure = { route53_zone_id = "Z0123" }
  }

  expect_failures = [var.api_exposure]
}

run "messages_for_a_state_that_has_none" {
  command = plan

  variables {
    alert_each_drop = ["loading"]
  }

  expect_failures = [var.alert_each_drop]
}

run "a_policy_for_a_lake_of_yours" {
  command = plan

  variables {
    lake_bucket      = "yours"
    lake_policy_json = "{}"
  }

  expect_failures = [var.lake_policy_json]
}

run "two_verifiers" {
  command = plan

  variables {
    services = { verifier = { maximum_tasks = 2 } }
  }

  expect_failures = [var.services]
}

run "a_password_in_a_connection_string" {
  command = plan

  variables {
    services = { loader = { environment = { HEADRACE_WAREHOUSE_DSN = "host=db password=secret" } } }
  }

  expect_failures = [var.services]
}

run "a_password_in_an_address" {
  command = plan

  variables {
    services = { loader = { environment = { HEADRACE_WAREHOUSE_DSN = "postgresql://headrace:secret@db/headrace" } } }
  }

  expect_failures = [var.services]
}

run "verifying_all_the_time" {
  command = plan

  variables {
    verification_interval_seconds = 59
  }

  expect_failures = [var.verification_interval_seconds]
}

run "verifying_less_than_once_a_week" {
  command = plan

  variables {
    verification_interval_seconds = 604801
  }

  expect_failures = [var.verification_interval_seconds]
}

run "no_warehouse" {
  command = plan

  variables {
    warehouse = {}
  }

  expect_failures = [var.warehouse]
}

run "two_warehouses" {
  command = plan

  variables {
    warehouse = { secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:s", aurora = {} }
  }

  expect_failures = [var.warehouse]
}

run "an_aurora_before_17" {
  command = plan

  variables {
    warehouse = { aurora = { engine_version = "16.8" } }
  }

  expect_failures = [var.warehouse]
}

run "an_unknown_sslmode" {
  command = plan

  variables {
    warehouse = { secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:s", sslmode = "on" }
  }

  expect_failures = [var.warehouse]
}

run "one_subnet" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", task_subnet_ids = ["subnet-a"] }
  }

  expect_failures = [var.network]
}

run "one_zone" {
  command = plan

  variables {
    network = { availability_zones = 1 }
  }

  expect_failures = [var.network]
}

run "four_zones" {
  command = plan

  variables {
    network = { availability_zones = 4 }
  }

  expect_failures = [var.network]
}

run "a_public_api_without_tls" {
  command = plan

  variables {
    api_exposure = { public = true, allowed_cidrs = ["0.0.0.0/0"] }
  }

  expect_failures = [var.api_exposure]
}

run "a_public_api_for_nobody_named" {
  command = plan

  variables {
    api_exposure = { public = true, certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/0123", url = "https://headrace.example.com" }
  }

  expect_failures = [var.api_exposure]
}

run "fewer_requests_than_waf_counts" {
  command = plan

  variables {
    api_exposure = { requests_per_5_minutes = 99 }
  }

  expect_failures = [var.api_exposure]
}

run "a_log_shorter_than_dead_letters" {
  command = plan

  variables {
    log_expiry_days = 14
  }

  expect_failures = [var.log_expiry_days]
}

run "a_public_api_without_public_subnets" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", task_subnet_ids = ["subnet-a", "subnet-b"] }
    api_exposure = {
      public          = true
      certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/0123"
      url             = "https://headrace.example.com"
      allowed_cidrs   = ["192.0.2.0/24"]
    }
  }

  expect_failures = [aws_lb.api]
}
