"""Clinical workflows, one module each, independent of one another; they meet through resources and changes."""
