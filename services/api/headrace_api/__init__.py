"""Answers for every drop and table over HTTP."""
