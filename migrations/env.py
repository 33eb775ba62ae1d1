"""Runs the migrations of one owner: the core, or the plugin named by `-x plugin=NAME`."""

from alembic import context

from citaplanner_core.hooks.migrations import run_migrations

run_migrations(context)
