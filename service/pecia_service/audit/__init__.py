"""What stays of a render, and proving it again."""
