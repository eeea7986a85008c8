"""Read verbs: plain values up, no rows and no querysets."""
