"""The command line: `modelward NOUN VERB`.

`NOUNS` says where each noun lives; its module is imported when the noun is invoked, so that
`modelward --help` stays quick. To add a noun, write its module in this package and add one line to
the table. The target is either a function, which becomes the command `modelward NOUN`, or a
`typer.Typer`, whose commands become `modelward NOUN VERB`. Heavy imports (web3, scikit-learn and
the like) belong inside the command functions: `modelward NOUN --help` should be quick too.

Commands print results to standard output and raise a `modelward.errors.ModelwardError` when they
cannot go on; `main` turns it into one sentence, a hint and the exit code of its class.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typing_extensions import override

from modelward import __version__
from modelward.errors import BadInput, ModelwardError, ModelwardWarning

PROGRAM = "modelward"
INTERRUPTED = 130
UNEXPECTED = 4


class Noun(NamedTuple):
    """Where a noun's commands are (`module:attribute`), and its line in `modelward --help`."""

    target: str
    summary: str


NOUNS: dict[str, Noun] = {
    "demo": Noun("modelward.cli.demo:show_demo", "Run the whole story once, in one process."),
    "init": Noun("modelward.cli.init:write_starter", "Write a starter deploy.toml."),
    "compile": Noun("modelward.cli.compile:compile_contracts", "Compile the contracts."),
    "node": Noun("modelward.cli.node:run_node", "Run a development chain."),
    "deploy": Noun("modelward.cli.deploy:deploy_contracts", "Deploy the contracts to a network."),
    "worker": Noun("modelward.cli.worker:app", "Answer requests, for pay."),
    "pipeline": Noun("modelward.cli.pipeline:app", "Make models from data, by a file of rules."),
    "model": Noun("modelward.cli.model:app", "Publish models, look at them, retire them."),
    "grant": Noun("modelward.cli.grant:app", "Say who may use and who may serve a model."),
    "request": Noun("modelward.cli.request:app", "Request predictions, check them, be refunded."),
    "keeper": Noun("modelward.cli.keeper:app", "Do what anybody may do for everybody."),
    "bench": Noun("modelward.cli.bench:app", "Measure what modelward costs."),
    "drill": Noun("modelward.cli.drill:run_drill", "Put a worker through everything bad."),
    "data": Noun("modelward.cli.data:app", "Share files, sealed for those granted them."),
    "gateway": Noun(
        "modelward.cli.gateway:run_gateway", "Hand stored content to those with a live grant."
    ),
    "key": Noun("modelward.cli.key:app", "Register the key that what others share is wrapped to."),
    "account": Noun("modelward.cli.account:app", "Keep accounts, and take out what they are owed."),
}


@dataclass
class Invocation:
    """What the root options say; `typer.Context.obj` of every command."""

    debug: bool = False


class LazyRoot(TyperGroup):
    """The root group: lists nouns from the table, imports one only to run it."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return list(NOUNS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        noun = NOUNS.get(cmd_name)
        return TyperCommand(cmd_name, help=noun.summary) if noun else None

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if args[0] in NOUNS:
            return args[0], load(args[0]), args[1:]
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """Import a noun of the table and return its click command."""
    noun = NOUNS[name]
    module, _, attribute = noun.target.partition(":")
    target = getattr(import_module(module), attribute)
    parent = typer.Typer(rich_markup_mode=None)
    if isinstance(target, typer.Typer):
        parent.add_typer(target, name=name, help=noun.summary)
    else:
        parent.command(name)(target)
    return typer.main.get_group(parent).commands[name]


app = typer.Typer(
    name=PROGRAM,
    cls=LazyRoot,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="MODELWARD_DEBUG", help="Show the traceback of an error."),
    ] = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """On-chain access to machine-learning models, paid per prediction."""
    context.obj.debug = debug


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv` by default) and return its exit code.

    0 done, 1 a check failed, 2 bad input, 3 refused by a contract or a gate, 4 infrastructure or a
    defect, 130 interrupted.
    """
    invocation = Invocation()
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(None if arguments is None else list(arguments), invocation)


def _run(arguments: list[str] | None, invocation: Invocation) -> int:
    try:
        result = typer.main.get_command(app)(
            args=arguments, prog_name=PROGRAM, obj=invocation, standalone_mode=False
        )
    except ModelwardError as error:
        return _report(error, error.message, error.hint, error.exit_code, invocation)
    except TyperException as error:
        return _report_usage(error, invocation)
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort as error:
        if not isinstance(error.__context__, EOFError):
            return INTERRUPTED
        sentence = "Standard input ended before the question was answered."
        return _report(error, sentence, None, BadInput.exit_code, invocation)
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return _report(error, f"{error.strerror or error}{place}.", None, UNEXPECTED, invocation)
    except Exception as error:  # noqa: BLE001 - the last resort: a sentence instead of a traceback
        sentence = f"{type(error).__name__}: {error}".rstrip(": ")
        hint = f"This is a defect; `{PROGRAM} --debug ...` shows where."
        return _report(error, sentence, hint, UNEXPECTED, invocation)
    return result if isinstance(result, int) else 0


def _report(
    error: Exception, sentence: str, hint: str | None, exit_code: int, invocation: Invocation
) -> int:
    from modelward.cli.printing import printable

    if invocation.debug:
        traceback.print_exception(error)
    typer.echo(f"error: {printable(sentence)}", err=True)
    if hint:
        typer.echo(f"hint: {printable(hint)}", err=True)
    return exit_code


def _report_usage(error: TyperException, invocation: Invocation) -> int:
    context = getattr(error, "ctx", None)
    sentence = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(sentence, err=True)
        return error.exit_code
    command = context.command_path if context else PROGRAM
    hint = f"`{command} --help` lists what it takes."
    return _report(error, sentence, hint, error.exit_code, invocation)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    if issubclass(category, ModelwardWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(text)
