"""The runner: orders a task's steps, runs them, caches what they give, keeps limits and the run's record."""
