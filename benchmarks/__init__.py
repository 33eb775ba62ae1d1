"""Figures the project promises, measured against a baseline in the same run: `make bench`."""
