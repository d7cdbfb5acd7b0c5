"""Do the tests see it when the code is changed? A random sample of small changes, each tried."""
