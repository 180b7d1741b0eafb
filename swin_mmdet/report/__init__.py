"""A page about a training, its errors and its data, or about data before a training, that needs no network.

Files are imported by their names: what reads the history of a run needs no other package.
"""
