"""The status page: HTML that the agent renders, kept true in the browser by server-sent events.

There is one place that says how a thing looks, the templates. What changes is rendered again by them, for the part of
the page that it is in, and sent to browsers as HTML (`fragments`); their script puts it where it belongs.
"""

from pointsman_agent.statuspage.page import StatusPage

__all__ = ["StatusPage"]
