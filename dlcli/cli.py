"""The command: Click commands made from the verbs, and the one boundary at which errors become lines and exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from dlcli import __version__
from dlcli.errors import (
    DiskFullError,
    DlcliError,
    NumbersError,
    Terminated,
    UsageError,
    disk_is_full,
    from_os_error,
    memory_is_exhausted,
    printable,
)
from dlcli.verbs import VERBS, Action, Verb, find_verb

_BUG = 1
# What ended the command, by the signal that asked for it.
_STOPS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
# Seconds between two looks at whether a stop is still on its way.
_LOOK = 0.05


class _Interrupted(BaseException):
    """Ctrl-C; no `KeyboardInterrupt`, to which Click would add an empty line."""


class _ReaderGone(Exception):
    """The reader of stdout went away; no `BrokenPipeError`, of which Click would make exit code 1."""


@contextlib.contextmanager
def _without_click() -> Iterator[None]:
    """Let Ctrl-C pass Click by, and a reader of the help who went away."""
    try:
        yield
    except KeyboardInterrupt:
        raise _Interrupted from None
    except BrokenPipeError:
        raise _ReaderGone from None


class Verbs(click.Group):
    """The root command: its help comes from the static table; a verb's module is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs' names, in the order of the help."""
        return [verb.name for verb in VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make the command of a verb."""
        from dlcli.options import make_command

        verb = find_verb(cmd_name)
        return make_command(verb, verb.load(), _execute)

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """Read the command line."""
        with _without_click():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _without_click():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs, by group."""
        for group in dict.fromkeys(verb.group for verb in VERBS):
            with formatter.section(group):
                formatter.write_dl([(verb.name, verb.summary) for verb in VERBS if verb.group == group])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write where to begin."""
        with formatter.section("Example"):
            formatter.write("  dlcli run quickstart\n  dlcli train-text --help\n")


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="dlcli", message="%(prog)s %(version)s")
def cli() -> None:
    """Train, judge and ship image and text classifiers: one line, one run directory, an honest score."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code that DESIGN's table gives.

    Args:
        arguments: what follows `dlcli`; the process's own when None.
    """
    _open_closed_streams()
    debug = "--debug" in (sys.argv if arguments is None else arguments)
    with contextlib.suppress(ValueError):  # Not in the main thread: somebody else handles signals.
        for number in _STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _raise)
        sys.unraisablehook = _unraisable
    code = guarded(arguments, debug=debug)
    with contextlib.suppress(ValueError):
        _stop_hearing()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    if "tensorflow" in sys.modules or code > 128:
        # All is written; to take TensorFlow apart piece by piece would cost up to a second. After Ctrl-C Python
        # may want to end by the signal, although nothing of it is left.
        os._exit(code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Let what the shell has closed (`>&-`) be empty, and swallow what is written."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def guarded(arguments: list[str] | None, *, debug: bool) -> int:
    """Run the command; return its exit code."""
    try:
        code = cli.main(arguments, prog_name="dlcli", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except _ReaderGone:
        # The reader of the pipe went away. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as end:  # Click's way out of shell completion.
        return end.code if isinstance(end.code, int) else 0
    except (_Interrupted, KeyboardInterrupt, click.Abort):
        return _stopped(signal.SIGINT)
    except Terminated:
        return _stopped(signal.SIGTERM)
    except BaseException as error:
        if _asked:
            # It came in the middle of an import, where an exception may become any other.
            return _stopped(_asked[0])
        if debug:
            import traceback

            print(printable(traceback.format_exc()), file=sys.stderr)
        known = _known(error)
        if known is None:
            return _report(f"a bug in dlcli: {type(error).__name__}: {error}. Please report it, with --debug", _BUG)
        return _report(str(known), known.exit_code)


def _known(error: BaseException) -> DlcliError | None:
    """Return the error as one of ours, or None for a bug."""
    if isinstance(error, DlcliError):
        return error
    if isinstance(error, click.ClickException):
        return UsageError(error.format_message().rstrip("."), hint=_help_hint(error))
    if isinstance(error, OSError):
        return from_os_error(error)
    if disk_is_full(error):
        return DiskFullError()
    if memory_is_exhausted(error):
        return NumbersError(
            "out of memory", hint="Free memory, or lower --batch-size or --max-features if there is one"
        )
    return None


def _help_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See {context.command_path} --help" if context else "See the verb's --help"


def _execute(
    verb: Verb, action: Action, given: dict[str, Any], *, as_json: bool, quiet: bool, verbose: bool, debug: bool
) -> None:
    """Make the config, run the verb, write its result, hold it against its gates."""
    from dlcli.console import Console, on_terminal
    from dlcli.options import flag, make_config

    config = make_config(action.config, given, name=lambda field: flag(field, action.config))
    with Console(-1 if quiet else int(verbose)) as console:
        result = action.run(config, console)
        console.close()
        try:
            result.write(on_terminal(sys.stdout), as_json=as_json)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _ReaderGone from None
        except OSError as error:
            raise from_os_error(error, "stdout") from error
    result.check()


def _report(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # Nobody may be there to read it; the exit code says it too.
        print(f"dlcli: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    return code


# The signals that asked this process to stop.
_asked: list[signal.Signals] = []


def _raise(number: int, frame: object) -> NoReturn:
    _asked.append(signal.Signals(number))
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _raise_anew)
        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _raise_anew(number: int, frame: object) -> None:
    """Ask again for a stop that was swallowed on its way: by a finaliser, or by a library's bare `except:`."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt | Terminated | _Interrupted):
            return  # It is on its way, and something is being cleared up.
        error = error.__context__
    raise Terminated if _asked[0] == signal.SIGTERM else KeyboardInterrupt


def _unraisable(swallowed: sys.UnraisableHookArgs) -> None:
    """Say nothing of a stop, which is asked for again, nor of what fails in what it has left half-built."""
    if not _asked and not isinstance(swallowed.exc_value, KeyboardInterrupt | Terminated):
        sys.__unraisablehook__(swallowed)


def _stop_hearing() -> None:
    """Ignore what asks to stop: all is done, and another signal would only break the line or change the exit code."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def _stopped(number: signal.Signals) -> int:
    """Say that the command was stopped; return its exit code."""
    if _asked:  # Not in somebody else's process.
        _stop_hearing()
    if sys.stderr.isatty():
        print(file=sys.stderr)  # The terminal has shown ^C.
    return _report(_STOPS[number], 128 + number)
