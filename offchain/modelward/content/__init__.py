"""Content: a store addressed by hash, on any file system fsspec knows."""
