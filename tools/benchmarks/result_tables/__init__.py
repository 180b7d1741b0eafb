"""A table for each file of results: `render_tables.py` puts them into the READMEs."""
