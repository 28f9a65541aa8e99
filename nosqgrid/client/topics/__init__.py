"""Topics and listeners of a grid: docs/topics.md says what they promise."""
