"""A payment provider in Stripe's wire format for the demo and the tests; docs/guides/payments.md.

It keeps books of its own, so that what went in and what went out can be checked from outside.
"""
