"""What a server tells of itself: metrics, health, readiness, and traces."""
