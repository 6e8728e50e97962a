"""`python -m pointsman_compiler` is `pointsman`."""

from pointsman_compiler.cli import main

main(prog_name="pointsman")
