"""`pecia lint`: say everything that publishing a directory would refuse, all at once."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click

from pecia_service.cli.connection import connect, security_options
from pecia_service.cli.failures import ExitCode, finish
from pecia_service.cli.inspection import inspect
from pecia_service.cli.options import DIRECTORY, TARGET, json_option, timeout_option
from pecia_service.cli.session import Session, pass_session
from pecia_service.rendering.sources.directory import read_directory


@click.command(short_help="List everything that publishing DIR would refuse.")
@click.argument("directory", metavar="DIR", type=DIRECTORY)
@click.option(
    "--target",
    type=TARGET,
    metavar="HOST:PORT",
    help="Also compare with this server: find templates that DIR lacks, and versions that are taken.",
)
@timeout_option
@security_options
@json_option
@pass_session
def lint(session: Session, *, directory: Path, target: str | None, timeout: float, as_json: bool) -> None:
    """Check the templates and bundles in DIR and list everything that publishing would refuse.

    No server is asked without --target; a bundle may then name only templates that are in DIR. Templates that
    no bundle names are warned about. Exit code 1 means that there are errors.

    \b
    Examples:
      pecia lint prompts/
      pecia lint prompts/ --target 127.0.0.1:50051
    """
    contents = read_directory(directory)
    with nullcontext() if target is None else connect(target, timeout) as client:
        found = inspect(contents, client)
    if as_json:
        session.output.json(
            {
                "errors": [asdict(problem) for problem in found.errors],
                "warnings": [asdict(problem) for problem in found.warnings],
                "templates": len(contents.templates),
                "bundles": len(contents.bundles),
            }
        )
    else:
        found.show(session.output, contents, directory)
    if found.errors:
        finish(ExitCode.NEGATIVE)
