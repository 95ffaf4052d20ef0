"""A grid of trainings from one TOML file, and what it says of the papers' claims. See docs/replication.md."""
