"""Sifting: a file is loaded and every bad row of it found, in one pass.

`structure` finds records and fields at the speed of numpy, `batches` says what a reader hands on,
`csv_batches` and `decoded` make batches of files, `copying` sends them to COPY and hears from
Postgres which values it could not take, `faults` puts that into words, `verdict` judges whether so
many bad rows may be set aside, and `quarantine` keeps them.
"""
