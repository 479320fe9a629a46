"""Topics, the engine that follows the change stream, delivery with retry, and one channel per file."""
