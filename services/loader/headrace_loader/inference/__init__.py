"""Inference: a contract from a file. `sampling` takes the file's beginning, `profiling` asks DuckDB
what is in it, `suggesting` decides on names, types and a dialect."""
