"""Emergencies: a Flag is what one posts, its Task carries the state, a Task for each responder, an alert for each one.

The profiles are in ig/input/fsh/emergency.fsh; docs/workflows/emergencies.md tells how it is used.
"""
