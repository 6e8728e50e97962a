"""RFC 6455 without I/O: bytes → messages, messages → bytes."""
