"""The emulator of `headrace up`, for hypercorn: `headrace_local.signed_app:app`."""

from __future__ import annotations

import os

import ministack.app as emulator

from headrace_local.signed_emulator import SignedOnly

app = SignedOnly(emulator.app, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
