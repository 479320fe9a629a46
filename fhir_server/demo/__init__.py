"""Rowan Bay Clinic: a small invented clinic, so that a new server has something to show."""
