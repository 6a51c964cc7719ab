"""The commands, one a module: options, and which part of the package does the work."""
