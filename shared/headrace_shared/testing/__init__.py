"""Fakes and builders for tests: no network, no real time."""
