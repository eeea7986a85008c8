"""The command `onym`: finds its subcommands by name, loads only the one that is asked for.

Exit codes are 0 done, 1 refused or violated, 2 usage, 130 stopped by Ctrl-C. A refusal is one line
(with `--json` a problem object); nobody is shown a traceback.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import errno
import functools
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from onym.core.errors import Refusal

WAL_SEGMENT_BYTES = 16 * 2**20
STOPPED = 128 + signal.SIGINT

NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})

# name → (module, one line of help); a name whose module does not exist is not offered.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("onym.site.up", "Run everything: database, web, streams and jobs."),
    "init": ("onym.site.init", "Prepare DATA and its keys for production."),
    "doctor": ("onym.site.doctor", "Say what is wrong with this installation."),
    "migrate": ("onym.site.migrate", "Bring the database's tables up to date."),
    "backup": ("onym.site.backup", "Write the database and the keys to one file."),
    "restore": ("onym.site.restore", "Read a backup into an empty DATA."),
    "desk": ("onym.cli.desk", "Handle team: who belongs to it, in which role."),
    "token": ("onym.cli.token", "Tokens for the API."),
    "person": ("onym.cli.person", "What is kept about a person: export, erase, purge."),
    "import": ("onym.cli.import_", "Read account tables into a directory snapshot."),
    "sweep": ("onym.cli.sweep", "Assess every account under a policy."),
    "policy": ("onym.cli.policy", "Check, explain and compare policies."),
    "publish": ("onym.cli.publish", "Publish a version of policy, fees, guidelines or taxes."),
    "appraise": ("onym.cli.appraise", "Estimate what a handle is worth, and say why."),
    "verify": ("onym.cli.verify", "Check a public log from its files alone."),
    "log": ("onym.cli.log", "Let the log sign again after a restore."),
    "witness": ("onym.cli.witness", "Co-sign the checkpoints of a log."),
    "platform": ("onym.cli.platform", "Check a platform against the signed-HTTP contract."),
    "audit": ("onym.cli.audit", "Check every invariant, a line each."),
    "reconcile": ("onym.cli.reconcile", "Hold the payment provider's list beside the books."),
    "bench": ("onym.cli.bench", "Measure, as ratios of two things run side by side."),
    "sim": ("onym.cli.sim", "Simulate seeded days of a market and audit them."),
}


class Commands(click.Group):
    """A group that reads the table above instead of importing every subcommand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for name, (module, _) in COMMANDS.items() if _source(module)]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        module, _ = COMMANDS.get(cmd_name, ("", ""))
        return _load(module) if module and _source(module) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and a word that is nearly one of ours is told with its like."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as fault:
            like = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not like:
                raise
            told = f"{fault.message} Did you mean '{like[0]}'?"
            raise click.UsageError(told, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


def _source(module: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _load(module: str) -> click.Command:
    """Import it, after Django's set-up when it says that it needs the database."""
    needs = _needs_database(module)
    if needs:
        from onym.site import database

        database.set_up()
    command: click.Command = importlib.import_module(module).command
    return _with_database(command, needs) if needs else command


def _needs_database(module: str) -> bool | set[str]:
    """`NEEDS_DATABASE = True`, or the set of subcommands that do, read without importing."""
    source = _source(module)
    tree = ast.parse(source.read_text()) if source else ast.Module([], [])
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(name, ast.Name) and name.id == "NEEDS_DATABASE" for name in targets):
            needs = ast.literal_eval(node.value)  # type: ignore[attr-defined]  # an Assign
            return needs if isinstance(needs, bool) else set(needs)
    return False


def _with_database(command: click.Command, needs: bool | set[str]) -> click.Command:
    if isinstance(command, click.Group):
        for name, sub in command.commands.items():
            if needs is True or (isinstance(needs, set) and name in needs):
                _with_database(sub, True)
        return command
    inner: Callable[..., Any] | None = command.callback
    if inner is None:
        return command

    @functools.wraps(inner)
    def connected(*args: Any, **kwargs: Any) -> Any:
        from onym.site import database

        with database.connected():
            return inner(*args, **kwargs)

    command.callback = connected
    if not any("--data" in option.opts for option in command.params):
        command.params.append(data_option())
    return command


def data_option() -> click.Option:
    """`--data`, which `main` has already put into the environment before anything was loaded."""
    return click.Option(
        ["--data"],
        type=click.Path(file_okay=False, path_type=Path),
        expose_value=False,
        help="Where everything is kept; default: data/ under the current directory.",
    )


SHOWN = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.command(cls=Commands, context_settings=SHOWN)
@click.version_option(package_name="onym", prog_name="onym")
def group() -> None:
    """The open, self-hosted handle market."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    given = sys.argv[1:] if arguments is None else arguments
    if data := _value_of("--data", given):
        os.environ["ONYM_DATA"] = str(Path(data).resolve())
    try:
        sys.exit(_use_settings("--json" in given) or run(given))
    except KeyboardInterrupt:  # before or after what `run` guards
        sys.exit(STOPPED)


def _use_settings(as_json: bool) -> int:
    """What `DATA/onym.env` sets; 0, or the exit code once a mistake in it was told."""
    from onym.site import settings_file

    try:
        settings_file.use(Path(os.environ.get("ONYM_DATA") or "data").resolve())
    except Refusal as refusal:
        return _say(problem(refusal), as_json)
    except OSError as fault:
        code, detail = trouble(fault)
        return _say({"status": 500, "code": code, "detail": detail}, as_json)
    return 0


def run(given: list[str]) -> int:
    """The exit code; every expected trouble has become one line by then."""
    as_json = "--json" in given
    try:
        outcome = group.main(args=given, prog_name="onym", standalone_mode=False)
        sys.stdout.flush()
        return outcome if isinstance(outcome, int) and not isinstance(outcome, bool) else 0
    except Refusal as refusal:
        return _say(problem(refusal), as_json)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as fault:
        fault.show()
        return fault.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _stopped()
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # whoever read our output has gone: not our trouble
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as fault:
        if _is_interrupt(fault):
            return _stopped()
        code, detail = trouble(fault)
        return _say({"status": 500, "code": code, "detail": detail}, as_json)


def _stopped() -> int:
    click.echo("stopped", err=True)
    return STOPPED


def _is_interrupt(fault: Exception) -> bool:
    """Ctrl-C as DuckDB tells it: it catches the signal itself."""
    return type(fault).__name__ == "InterruptException" or str(fault) == "Query interrupted"


def problem(refusal: Refusal) -> dict[str, Any]:
    """RFC 9457, as the API answers it."""
    return {
        "type": f"/problems/{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail,
        **refusal.facts,
    }


def trouble(fault: Exception) -> tuple[str, str]:
    """(code, one line) for what the machine or the database did to us, else for a bug."""
    causes = [fault, *filter(None, (fault.__cause__, fault.__context__))]
    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    line = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
    if "DiskFull" in names or any(getattr(c, "errno", None) == errno.ENOSPC for c in causes):
        return "disk_full", "no space is left on the disk; nothing was half done"
    if names & {"OperationalError", "InterfaceError", "PoolTimeout"}:
        full = "; no space is left on the disk of DATA" if _disk_is_full() else ""
        todo = "" if full else "; start it, or correct DATABASE_URL"
        return "database_unavailable", f"the database does not answer: {line}{full}{todo}"
    if isinstance(fault, OSError):
        where = f"{fault.filename}: " if fault.filename else ""
        todo = "; name another place, or see who owns it" if fault.errno in NOT_OURS else ""
        return "unreadable", f"{where}{fault.strerror or line}{todo}"
    if isinstance(fault, MemoryError):
        return "out_of_memory", "not enough memory"
    return "fault", f"{type(fault).__name__}: {line}{_recorded(fault)}"


def _disk_is_full() -> bool:
    """Less than one segment of the write-ahead log is free."""
    from onym.site import embedded

    try:
        return shutil.disk_usage(embedded.data_directory()).free < WAL_SEGMENT_BYTES
    except OSError:
        return False


def _recorded(fault: Exception) -> str:
    """A bug's traceback goes to a file that can be sent to us."""
    from onym.site import embedded

    log = embedded.data_directory() / "logs" / "faults.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            traceback.print_exception(fault, file=file)
    except OSError:
        return ""
    return f" (a bug: details are in {log})"


def _say(body: dict[str, Any], as_json: bool) -> int:
    if as_json:
        click.echo(json.dumps(body, default=str))
    else:
        click.echo(f"onym: {body['code']}: {body['detail']}", err=True)
    return 1


def _value_of(option: str, given: list[str]) -> str | None:
    for here, following in zip(given, [*given, ""][1:], strict=True):
        if here == option:
            return following
        if here.startswith(option + "="):
            return here.partition("=")[2]
    return None


if __name__ == "__main__":
    main()
