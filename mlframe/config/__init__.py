"""The config: composed by Hydra from guarded folders, typed, checked whole, explained value by value."""
