"""The API's operations, one module for each thing that is asked about."""
