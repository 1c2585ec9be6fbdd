"""``strata completion``: scripts that complete commands, options and files in a shell, made from the parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from stratavm.base.forms import Final, NamedTuple
from stratavm.cli import output

EXAMPLES: Final = """eval "$(strata completion bash)"                                in ~/.bashrc
eval "$(strata completion zsh)"                                 in ~/.zshrc, behind compinit
strata completion fish > ~/.config/fish/completions/strata.fish"""

PROGRAM_NAMES: Final = ("strata", "stratavm")
FILES: Final = ("FILE", "APP")
"""Metavars of options whose value is a file."""


class Option(NamedTuple):
    """An option as a shell sees it: ``value`` is what may follow: "", files, directories, words or anything."""

    names: tuple[str, ...]
    value: str
    words: tuple[str, ...]
    help: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shell", choices=tuple(SHELLS), help="which shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    output.text(SHELLS[options.shell]())
    return 0


def options_of(command: str) -> Iterator[Option]:
    """The options of a command, those of its positional arguments that are words included (with no names)."""
    from stratavm.cli.argparser import command_parser

    for action in command_parser(command)._actions:
        words = tuple(map(str, action.choices or ()))
        metavar = str(action.metavar or "")
        value = "words" if words else "files" if metavar in FILES else "directories" if action.dest == "dir" else "any"
        if action.option_strings or words:
            summary = (action.help or "").split(";")[0].split(" (")[0]
            yield Option(tuple(action.option_strings), "" if action.nargs == 0 else value, words, summary)


def _runners() -> tuple[str, ...]:
    from stratavm.cli.commands import RUNNERS

    return RUNNERS


def _commands() -> dict[str, str]:
    from stratavm.cli.commands import COMMANDS

    return {name: summary for name, (_, summary) in COMMANDS.items()}


BASH: Final = """# bash completion for strata
_strata() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=run at=1
    local options="" takes_value="" words="" i
    COMPREPLY=()
    case "${COMP_WORDS[1]}" in
        @COMMANDS_OR@) command=${COMP_WORDS[1]} at=2 ;;
    esac
    if (( COMP_CWORD == 1 )) && [[ $cur != -* ]]; then
        COMPREPLY=($(compgen -W "@COMMANDS@" -- "$cur"))
    fi
    case "$command $prev" in
@VALUES@
    esac
    case "$command" in
@OPTIONS@
    esac
    case "$command" in
        @REST@)
            for (( i = at; i < COMP_CWORD; i++ )); do  # what follows the module is the guest's
                [[ ${COMP_WORDS[i]} == -* || " $takes_value " == *" ${COMP_WORDS[i-1]} "* ]] || options=""
            done ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -n $words ]]; then
        COMPREPLY+=($(compgen -W "$words" -- "$cur"))
    else
        compopt -o filenames 2>/dev/null
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _strata @NAMES@
"""


def bash() -> str:
    """The script for bash."""
    return _script(BASH, lambda option: option.names, _bash_value, 'options="{}" takes_value="{}" words="{}" ;;')


def _bash_value(option: Option) -> str:
    if option.value == "words":
        return f'COMPREPLY=($(compgen -W "{" ".join(option.words)}" -- "$cur")); return'
    if option.value in ("files", "directories"):
        flag = "-f" if option.value == "files" else "-d"
        return f'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen {flag} -- "$cur"); return'
    return "COMPREPLY=(); return"


ZSH: Final = """#compdef @NAMES@
_strata() {
    local cur=${words[CURRENT]} prev=${words[CURRENT-1]} command=run at=2 takes_value="" i
    local -a options choices
    local -A is_command=(@COMMAND_PAIRS@)
    [[ -n ${is_command[${words[2]}]} ]] && command=${words[2]} at=3
    if (( CURRENT == 2 )) && [[ $cur != -* ]]; then
        local -a commands=(
@DESCRIBED@
        )
        _describe command commands
        _files
        return
    fi
    case "$command $prev" in
@VALUES@
    esac
    case "$command" in
@OPTIONS@
    esac
    case "$command" in
        @REST@)
            for (( i = at; i < CURRENT; i++ )); do  # what follows the module is the guest's
                [[ ${words[i]} == -* || " $takes_value " == *" ${words[i-1]} "* ]] || options=()
            done ;;
    esac
    if [[ $cur == -* ]]; then
        _describe -o option options
    elif (( $#choices )); then
        compadd -a choices
    else
        _files
    fi
}
compdef _strata @NAMES@
"""


def zsh() -> str:
    """The script for zsh."""
    return _script(ZSH, _described, _zsh_value, 'options=({}) takes_value="{}" choices=({}) ;;')


def _described(option: Option) -> tuple[str, ...]:
    return tuple(_quoted(f"{name}:{option.help}") for name in option.names)


def _zsh_value(option: Option) -> str:
    if option.value == "words":
        return f"compadd -- {' '.join(option.words)}; return"
    return {"files": "_files; return", "directories": "_files -/; return"}.get(option.value, "return")


def fish() -> str:
    """The script for fish."""
    lines = ["# fish completion for strata"]
    for program in PROGRAM_NAMES:
        for command, summary in _commands().items():
            lines.append(f"complete -c {program} -n __fish_use_subcommand -a {command} -d {_quoted(summary)}")
            for option in options_of(command):
                lines.append(_fish_option(program, command, option))
    return "\n".join(lines) + "\n"


def _fish_option(program: str, command: str, option: Option) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
    value = {
        "": "", "files": "-r -F", "directories": "-x -a '(__fish_complete_directories)'", "any": "-x",
        "words": f"{'-x' if names else '-f'} -a {_quoted(' '.join(option.words))}",
    }[option.value]  # fmt: skip
    parts = (f"complete -c {program} -n '__fish_seen_subcommand_from {command}'", names, value)
    return " ".join(part for part in (*parts, f"-d {_quoted(option.help)}") if part)


def _script(
    script: str, spelled: Callable[[Option], tuple[str, ...]], value_of: Callable[[Option], str], line: str
) -> str:
    """A script with a case for each option that takes a value, and for each command a ``line`` of its options, of those
    that take a value, and of the words that it takes.
    """
    values, options = [], []
    for command in _commands():
        found = list(options_of(command))
        takers = [option for option in found if option.names and option.value]
        for option in takers:
            pattern = "|".join(f'"{command} {name}"' for name in option.names)
            values.append(f"        {pattern}) {value_of(option)} ;;")
        names = " ".join(name for option in found for name in spelled(option))
        words = " ".join(word for option in found if not option.names for word in option.words)
        taking = " ".join(name for option in takers for name in option.names)
        options.append(f"        {command}) {line.format(names, taking, words)}")
    return _filled(script, values, options)


def _filled(script: str, values: list[str], options: list[str]) -> str:
    commands = _commands()
    described = "\n".join(f"            {_quoted(f'{name}:{summary}')}" for name, summary in commands.items())
    for mark, text in {
        "COMMANDS_OR": "|".join(commands), "COMMANDS": " ".join(commands), "VALUES": "\n".join(values),
        "OPTIONS": "\n".join(options), "REST": "|".join(_runners()), "NAMES": " ".join(PROGRAM_NAMES),
        "COMMAND_PAIRS": " ".join(f"{name} 1" for name in commands), "DESCRIBED": described,
    }.items():  # fmt: skip
        script = script.replace(f"@{mark}@", text)
    return script


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


SHELLS: Final[dict[str, Callable[[], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}
