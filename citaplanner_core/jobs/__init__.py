"""Durable work: rows that survive crashes, claimed with a lease, settled once."""
