"""Plaza, the demo's platform: a namespace of its own, in a process of its own.

It implements the signed-HTTP contract of docs/guides/platform.md and shows profile pages.
"""
