"""The command `pecia`: its groups and exit codes, and how errors reach the user."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module, metadata

import click

from pecia_service.canonical import UNICODE_VERSION
from pecia_service.cli.failures import EXPECTED, ExitCode, explain
from pecia_service.cli.output import Output, discard_stdout
from pecia_service.cli.session import Session
from pecia_service.rendering.renderer import RENDERER_VERSION

# Each command's module is imported only when it is used: a server brings along what a client does not need.
_COMMANDS: Mapping[str, str] = {
    "serve": "serve:serve",
    "migrate": "migrate:migrate",
    "keys": "keys:keys",
    "lint": "lint:lint",
    "publish": "publish:publish",
    "list": "pieces:list_pieces",
    "show": "pieces:show",
    "label": "labels:label",
    "diff": "diff:diff",
    "render": "render:render",
    "check": "check:check",
    "replay": "replay:replay",
    "verify": "replay:verify",
    "audit": "audit:audit",
    "erase": "erase:erase",
}


class PeciaGroup(click.Group):
    """Loads commands when they are used, and puts expected errors into words."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which one gets to know them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(import_module(f"pecia_service.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; for a name that is none, say which one may be meant."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if close:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; what it expects to fail ends in one line and an exit code, not in a traceback."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(ExitCode.OUTPUT_CLOSED)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)
        except EXPECTED as error:
            failure = explain(error)
            output = ctx.ensure_object(Session).output
            output.note(f"error: {failure.message}")
            for detail in failure.details:
                output.note(f"  {detail}")
            ctx.exit(failure.exit_code)


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        try:
            version = metadata.version("pecia")
        except metadata.PackageNotFoundError:
            version = "of a checkout that is not installed"
        click.echo(f"pecia {version} (renderer {RENDERER_VERSION}, Unicode {UNICODE_VERSION})")
        ctx.exit()


@click.group(
    cls=PeciaGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Deterministic prompts: publish pieces, render them to the byte, keep receipts, and replay them.

    \b
    Examples:
      pecia serve
      pecia publish docs/examples/companion
      pecia render companion@1.2.0 --payload payload.json --json
      pecia render companion@1.2.0 --payload payload.json --offline docs/examples/companion

    \b
    Exit codes:
      0    done
      1    the answer is no: findings, conflicts, violations, differences, a mismatch, not confirmed
      2    wrong usage, input or settings
      3    a replay could not be verified
      4    the server refused: not found, failed precondition, aborted, damaged, ...
      5    the server or its database can't be reached, or did not answer in time
      130  interrupted
      141  what reads the output has ended
    """
    ctx.ensure_object(Session)


def main() -> None:
    """Run the command line; the entry point of `pecia`."""
    try:
        cli.main(prog_name="pecia")
    except OSError as error:
        # Help and version are written by click.
        discard_stdout()
        Output().note(f"error: can't write to standard output: {error.strerror}")
        sys.exit(ExitCode.REFUSED)


if __name__ == "__main__":
    main()
