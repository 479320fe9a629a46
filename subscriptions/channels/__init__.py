"""One file per channel: what it asks of a Subscription, and how it sends a notification."""
