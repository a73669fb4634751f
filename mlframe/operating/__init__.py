"""The loop that keeps a model good: windows, triggers, updates, decisions, and their simulation."""
