"""The pages: server-made, usable without JavaScript; one flow or query per view."""
