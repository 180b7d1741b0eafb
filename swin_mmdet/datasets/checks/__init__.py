"""What can be wrong with data, one file for each side of it: each yields `Problem`s and changes nothing."""
