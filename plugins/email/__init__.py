"""Notifications by e-mail, over SMTP."""
