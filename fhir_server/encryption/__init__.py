"""Encryption at rest: what is sensitive is kept under its patient's own key (docs/workflows/encryption.md)."""
