"""The application API (``/api/v1``, ``/api/v2``), one module per family of endpoints."""
