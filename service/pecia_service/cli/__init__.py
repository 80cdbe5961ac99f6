"""The `pecia` command line."""

import os

# Before anything imports gRPC, which reads it then: its own lines, such as one for each failed handshake, are
# no JSON, and anyone who reaches the port could fill the log with them.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
