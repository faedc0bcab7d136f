"""The command line, the engine's public face."""
