"""What happens around each call of the contract: one interceptor, and its stages in their order."""
