"""The admin interface: starlette on a small HTTP server of our own (h11 on trio), in which every wait is bounded."""
