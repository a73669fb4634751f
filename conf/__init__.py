"""The config groups that mlframe ships: one folder a group, one YAML file a component."""
