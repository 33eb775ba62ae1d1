"""The seam between the core and its plugins."""
