"""A stand-in Chatwoot server for demos and tests, never loaded in production.

It imports nothing from the plugin nor from the core: it is an independent witness of what the
plugin sends, and it behaves as Chatwoot v4.15.1 does (https://github.com/chatwoot/chatwoot).
Start it with ``python -m plugins.chatwoot.sandbox --port N`` and open ``/``.
"""
