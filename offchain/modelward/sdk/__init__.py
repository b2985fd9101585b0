"""What owners and requesters do, for scripts, notebooks and the command line."""
