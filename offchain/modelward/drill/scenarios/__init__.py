"""What can go wrong, one kind a module."""
