"""Models: input schema, canonical output, bundle and runner. Nothing here talks to a chain."""
