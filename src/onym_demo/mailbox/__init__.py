"""A mailbox for the demo and the tests: SMTP in, web page out; docs/guides/mail.md.

Mail to the market's own addresses is handed on to it, signed, until it has taken it.
"""
