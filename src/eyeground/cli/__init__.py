"""Floor 5: flags and what they print. Each command is one module with `main(argv) -> int`."""
