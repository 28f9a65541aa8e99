"""The shell commands: one module a group, each with add_arguments(parser) and run(arguments, out)."""
