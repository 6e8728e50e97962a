"""The agent's state, pushed to a metrics store: sites sit behind NAT, so that nobody can come and scrape.

exposition   the object of `GET /api/status` → Prometheus text. Pure
spool        what could not be sent yet, on disk, bounded
sender       the task that writes down, and sends (the only httpx2 here)
"""
