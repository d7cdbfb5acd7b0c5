"""Sifting: a file is loaded and every bad row of it found, in one pass.

`structure` finds records and fields at the speed of numpy, `json_cutting` the records of JSON;
`csv_batches` and `json_batches` make `batches` of them, with values `converting` and `rewriting`
where Postgres cannot read them as they are; `copying` sends them to COPY and hears which values it
could not take; `faults` puts that into words, `verdict` judges whether so many bad rows may be set
aside, and `quarantine` keeps them.
"""
