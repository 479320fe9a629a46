"""One file for each group of events; a declaration on top of a function serves it."""
