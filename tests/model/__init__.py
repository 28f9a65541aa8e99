"""Random commands against the engine and against a plain model, compared after every step."""
