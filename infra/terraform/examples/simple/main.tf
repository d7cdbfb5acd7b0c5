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
