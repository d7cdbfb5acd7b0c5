"""Rows of tables, by what their contracts show."""
