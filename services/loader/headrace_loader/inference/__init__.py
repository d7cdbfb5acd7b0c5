"""Inference: a contract from files.

`sampling` takes a file's beginning; `csv_fields`, `json_fields` and `columnar_fields` find its
fields; `profiling` asks DuckDB what is in them, `forms` knows how numbers and times may be written,
and `suggesting` decides on names, types, a key and a format."""
