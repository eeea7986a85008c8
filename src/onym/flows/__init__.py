"""Write verbs, each in four beats: lock, decide, record, announce. See ARCHITECTURE.md."""
