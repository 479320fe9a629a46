"""Content that only its readers' browsers can open; the server holds ciphertext (docs/workflows/end-to-end.md)."""
