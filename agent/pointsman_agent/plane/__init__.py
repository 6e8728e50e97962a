"""The data plane: relayed stations are served by one task, by plain calls on non-blocking sockets."""
