"""Notifications: one Communication for each person, unread until they complete it (docs/workflows/notifications.md)."""
