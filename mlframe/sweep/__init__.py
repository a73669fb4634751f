"""Many jobs from one command."""
