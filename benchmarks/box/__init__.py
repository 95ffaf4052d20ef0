"""How the model in the box was made and judged."""
