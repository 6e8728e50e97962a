"""pointsman-agent: runs on a site controller, loads the bundle, and routes every station to its operator.

Floors, lowest first: pure (`ocpp/`, `handshake`, `badges`, `liveness`, `routing`), `ports`, adapters (one foreign
library a file), tasks, `run` (the nursery tree), `cli`. A file imports lower floors only; import-linter holds us to it.
"""
