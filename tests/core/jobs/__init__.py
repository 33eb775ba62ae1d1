"""Durable work: claiming, running, surviving."""
