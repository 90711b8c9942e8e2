"""`novasr doctor`: is this installation sound."""

import argparse
import json
from typing import Any

from ..conformance import self_test
from .messages import EXIT_DONE, EXIT_SOME_FAILED, say


def add(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser(
        "doctor",
        help="versions, devices, weights, a self-test, speed",
        epilog="exit status: 0 all is well, 1 something is wrong",
        allow_abbrev=False,
    )
    p.set_defaults(main=_main)
    p.add_argument("--json", action="store_true")


def _main(args: argparse.Namespace) -> int:
    report = self_test.examine()
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        for title, values in report.items():
            if isinstance(values, dict):
                print(title.replace("_", " "))
                for name, value in values.items():
                    print(f"  {name.replace('_', ' '):20} {_text(value)}")
        for problem in report["problems"]:
            say(f"novasr: {problem}")
        print("something is wrong" if report["problems"] else "all is well")
    return EXIT_SOME_FAILED if report["problems"] else EXIT_DONE


def _text(value: Any) -> str:
    if value is None:
        return "not installed"
    if isinstance(value, float):
        return f"{value:.3g}"
    return ", ".join(value) if isinstance(value, list) else str(value)
