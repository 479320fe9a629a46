"""Compiles the implementation guide in `ig/` with SUSHI, without a network, into the committed package."""
