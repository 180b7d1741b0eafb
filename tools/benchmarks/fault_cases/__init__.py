"""Small data sets, each with one fault or none, and what is right for each."""
