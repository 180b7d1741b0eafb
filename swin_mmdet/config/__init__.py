"""Reading and changing configs before anything is built from them."""
