"""What modelward costs, measured: `modelward bench`."""
