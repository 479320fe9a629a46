"""What the clinical workflows (extensions/) have in common: states, who may, people, notices, words of the guide."""
