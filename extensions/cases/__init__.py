"""Telemedicine cases: states, who works on them, their team and their documents (docs/workflows/cases.md)."""
