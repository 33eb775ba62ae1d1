"""Helpers for tests of the core and of plugins. Nothing outside tests imports them."""
