"""The admin interface: starlette on hypercorn's trio side."""
