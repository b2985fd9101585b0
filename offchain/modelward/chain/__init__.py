"""Access to any EVM chain over JSON-RPC."""
