"""Referrals: a ServiceRequest says what is wanted, its Task carries the state (docs/workflows/referrals.md)."""
