"""`python -m pointsman_compiler` is `pointsman`."""

from pointsman_compiler.cli import main

if __name__ == "__main__":  # processes of a crew import it as well, where they are not forked
    main(prog_name="pointsman")
