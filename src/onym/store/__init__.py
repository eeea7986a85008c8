"""PostgreSQL rows: one file per noun; constraints refuse what the code promises never to do."""
