"""The Socket.IO server: authenticated connections, rooms, presence, signalling, and subscriptions on a socket."""
