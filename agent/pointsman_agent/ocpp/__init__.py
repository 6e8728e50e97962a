"""OCPP without I/O: envelopes, the relay's state machine, what is taken for ourselves, and local answers."""
