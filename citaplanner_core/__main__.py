"""`python -m citaplanner_core` is the same as `citaplanner`."""

from citaplanner_core.cli import main

main()
