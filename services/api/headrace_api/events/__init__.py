"""State changes of drops as they happen: what changed, and who is told."""
