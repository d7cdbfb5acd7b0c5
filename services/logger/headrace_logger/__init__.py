"""Writes every fact to the log: one item per drop, never a state backwards."""
