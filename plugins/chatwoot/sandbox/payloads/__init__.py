"""The JSON shapes of Chatwoot v4.15.1: ``rest`` for API answers, ``hooks`` for webhook bodies.

The two are different objects under the same names, in Chatwoot too; ``common`` holds what both use.
"""
