"""Tenants, people, services and appointments. Knows no Flask and no channel."""
