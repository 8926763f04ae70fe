import click


@click.command()
@click.pass_obj
def freeze(host):
    """Say that it is cold."""
    click.echo(f"cold, with {len(host.schedulers)} schedulers")
