"""`python -m headrace_local.provision_command`: what `resources.py` describes, on an emulator that
runs already. `headrace up` does the same by itself; this is for compose.yaml."""

from __future__ import annotations

import os
import sys

import boto3

from headrace_local.emulator import ACCOUNT
from headrace_local.provision import Clients, provision
from headrace_local.resources import describe


def main() -> int:
    """Says what had to be done, a line each; 2 where no emulator is named: a real account is not
    provisioned by mistake."""
    if not os.environ.get("AWS_ENDPOINT_URL"):
        sys.stderr.write("AWS_ENDPOINT_URL is missing: the URL of the emulator.\n")
        return 2
    for change in provision(describe(), _clients(), ACCOUNT).changes:
        sys.stdout.write(f"{change}\n")
    return 0


def _clients() -> Clients:
    return Clients(
        s3=boto3.client("s3"),
        sqs=boto3.client("sqs"),
        events=boto3.client("events"),
        dynamodb=boto3.client("dynamodb"),
    )


if __name__ == "__main__":
    sys.exit(main())
