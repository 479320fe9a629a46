"""Resources in MongoDB: one flush for many writers, one query for many readers. See docs/decisions/."""
