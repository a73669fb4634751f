"""One module a command: `SUMMARY`, `add_arguments(parser)`, `run(arguments) -> exit code`; `arguments.door` is the door."""
