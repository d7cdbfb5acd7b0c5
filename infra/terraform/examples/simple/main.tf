# The smallest stack of its own: a VPC, an Aurora, the images' repositories and Headrace, in one state.

provider "aws" {
  region = var.region

  default_tags {
    tags = { Application = "headrace", Stack = var.name }
  }
}

module "registry" {
  source = "../../registry"
  name   = var.name
}

module "headrace" {
  source                 = "../.."
  name                   = var.name
  databases              = ["dev"]
  contracts_inferred_for = ["dev"]
  image_registry         = module.registry.image_registry
  image_tag              = var.image_tag
  alert_emails           = var.alert_emails

  # One instance, for a trial: two, the default, survive the loss of an availability zone.
  warehouse = { aurora = { instances = 1 } }
}

# The services' own role in the new Aurora: made by a task in the VPC, once, and again with a new password.
resource "terraform_data" "prepare_warehouse" {
  triggers_replace = [module.headrace.prepare_warehouse.revision]

  provisioner "local-exec" {
    command = module.headrace.prepare_warehouse.command
  }
}
