"""`python -m pointsman_agent` is `pointsman-agent`."""

from pointsman_agent.cli import main

main(prog_name="pointsman-agent")
