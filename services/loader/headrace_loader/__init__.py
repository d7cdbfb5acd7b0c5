"""The loader: brings each routed drop into the warehouse, exactly once."""
