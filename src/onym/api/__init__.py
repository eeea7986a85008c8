"""REST under /api/v1: translation only; one flow or query per route, shapes in docs/reference."""
