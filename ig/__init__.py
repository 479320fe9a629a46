"""The implementation guide: profiles, extensions, value sets, search parameters, operations, topics and examples."""
