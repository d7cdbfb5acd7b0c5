"""What `make` calls: setup, lock, and the rules of the house."""
