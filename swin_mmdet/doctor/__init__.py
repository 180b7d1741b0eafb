"""What is installed and what runs on this machine, what is wrong with it, and the line that mends it."""
