"""A repaired copy of an annotation file: what can be put right without a guess, with a list of what was changed."""
