"""From a bundle and a payload to a prompt and its receipt."""
