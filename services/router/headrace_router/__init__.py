"""The router: says of every object that lands in the lake whether and where it is to be loaded."""
