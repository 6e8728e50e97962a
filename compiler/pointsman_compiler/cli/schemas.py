"""`schema`: the published JSON Schemas, for editors and for other programs."""

from typing import Literal

import click


@click.command(epilog="Example: pointsman schema site > site.v1.schema.json")
@click.argument("kind", type=click.Choice(["site", "fleet", "rollout", "bundle"]))
def schema(kind: Literal["site", "fleet", "rollout", "bundle"]) -> None:
    """Print the JSON Schema of a site's file, of fleet.yaml, of rollout.yaml or of a bundle's payload."""
    from pointsman_schema.schemas import schema_text

    click.echo(schema_text(kind), nl=False)
