"""Several processes on one port: a supervisor that starts, watches, restarts and stops the workers."""
