"""The gRPC edge: servicers, converters and interceptors that translate and delegate."""
