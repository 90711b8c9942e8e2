"""`novasr doctor`: check this installation."""

import argparse
from typing import Any

from ..conformance import self_test
from .messages import EXIT_DONE, EXIT_SOME_FAILED, say, show, show_json


def add(commands: Any) -> None:
    """Add the command and its options to the parser."""
    p = commands.add_parser(
        "doctor",
        help="check the installation: versions, devices, weights, a self-test and speed",
        description="Check the installation: print versions, devices, weights and speed, and run "
        "a self-test.",
        epilog="exit status: 0 all is well, 1 something is wrong",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("--json", action="store_true", help="print the report as JSON")


def _main(args: argparse.Namespace) -> int:
    report = self_test.examine()
    if args.json:
        show_json(report)
    else:
        for title, values in report.items():
            if isinstance(values, dict):
                show(title.replace("_", " "))
                for name, value in values.items():
                    show(f"  {name.replace('_', ' '):20} {_text(value)}")
        for problem in report["problems"]:
            say(f"novasr: {problem}")
        show("something is wrong" if report["problems"] else "all is well")
    return EXIT_SOME_FAILED if report["problems"] else EXIT_DONE


def _text(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, float):
        return f"{value:.3g}"
    return ", ".join(value) if isinstance(value, list) else str(value)
