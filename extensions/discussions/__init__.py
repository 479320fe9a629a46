"""Discussions: what is said about a case or in a consultation, and that it was read (docs/workflows/discussions.md)."""
