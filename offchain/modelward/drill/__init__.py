"""The drill: requests, a worker and everything that goes wrong between them, by a seed."""
