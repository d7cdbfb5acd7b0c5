"""The verifier: compares lake, ledger, log and tables, and publishes what is missing."""
