"""nesgw setup: asks its way from a probe to a running service; nothing is written before the end."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nesgw.commands.check_config import config_argument
from nesgw.errors import EX_OK, WrongUsage

if TYPE_CHECKING:
    from nesgw.commands.setup.conversation import Agreement
    from nesgw.commands.setup.dialogue import Interview


def arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    config_argument(parser)
    parser.add_argument("--port", metavar="DEV", help="the probe: a device path, a URL, or auto (the only adapter)")
    parser.add_argument("--interface", choices=("optical", "mep"), help="which of the meter's ports (default: optical)")
    parser.add_argument("--key-file", metavar="FILE", help="the file with the meter's key")
    parser.add_argument("--label", metavar="L", help="what Home Assistant shows of the meter")
    parser.add_argument("--max-power", metavar="P", help="the main fuse, like '3 x 25 A', or '17 kW', or auto")
    parser.add_argument("--mqtt-host", metavar="H", help="the broker's name or address")
    parser.add_argument("--mqtt-port", metavar="N", help="the broker's port (default: 1883, or 8883 with TLS)")
    parser.add_argument("--mqtt-username", metavar="U", help="the user to log in with")
    parser.add_argument("--mqtt-password-file", metavar="FILE", help="the file with that user's password")
    parser.add_argument("--no-service", action="store_true", help="do not start the service")
    parser.add_argument("--yes", action="store_true", help="ask nothing; fail where an answer is missing")
    parser.epilog = (
        "Each option answers a question. Exits 0 if all is well at the end, 64 if an answer is missing, "
        "130 at Ctrl-C, and otherwise with the code of what went wrong."
    )


def run(options: argparse.Namespace) -> int:
    """Ask, write, look, start."""
    from nesgw.commands.setup.conversation import Conversation
    from nesgw.commands.setup.dialogue import Interview, Screen
    from nesgw.commands.setup.files import refuse_without_rights
    from nesgw.commands.setup.present import read_present
    from nesgw.commands.setup.questions import QUESTIONS

    if not options.yes and not sys.stdin.isatty():
        raise WrongUsage(command="setup", problem="there is no terminal to ask on: answer by options, and add --yes")
    interview = Interview(vars(options), Screen(), silent=options.yes)
    interview.judge(QUESTIONS)
    refuse_without_rights(options.config)
    present = read_present(options.config)
    conversation = Conversation(interview, present, options.interface)
    try:
        try:
            outcome = conversation.hold()
        except KeyboardInterrupt:
            print("\n  nothing was written", flush=True)
            raise
        return EX_OK if outcome is None else _finish(outcome, interview, options)
    finally:
        conversation.give_back()


def _finish(outcome: Agreement, interview: Interview, options: argparse.Namespace) -> int:
    """Write, look at it as the service will, and start that."""
    from nesgw.commands.setup import service
    from nesgw.commands.setup.files import write

    screen = interview.screen
    write(outcome.files)
    screen.well("written")
    screen.heading("Looking at it as the service does: nesgw doctor")
    code = service.doctor(options.config)
    if code:
        screen.wrong("put right what doctor says, then: sudo nesgw doctor, and sudo systemctl restart nesgw")
    elif options.no_service or not service.is_installed() or os.geteuid() != 0:
        screen.say(f"It is configured. To start it: {_how_to_start(options.config)}")
    elif interview.agreed("Start it, now and at every boot?"):
        return _started(outcome, interview)
    else:
        screen.say(f"To start it: {_how_to_start(options.config)}")
    return code


def _how_to_start(config: Path) -> str:
    from nesgw import CONFIG_FILE
    from nesgw.commands.setup import service

    if service.is_installed() and config == Path(CONFIG_FILE):
        return "sudo systemctl enable --now nesgw"
    return f"nesgw run --config {config}"


def _started(outcome: Agreement, interview: Interview) -> int:
    """Start the service, and wait for its first reading."""
    import time

    from nesgw.commands.setup import service
    from nesgw.errors import EX_UNAVAILABLE
    from nesgw.publishers.console import summary

    screen, since = interview.screen, time.time()
    if not service.enable():
        screen.wrong("systemd could not start it; see: systemctl status nesgw")
        return EX_UNAVAILABLE
    report = service.first_value(outcome.folder, since)
    if report is None:
        screen.wrong("it has not read the meter yet; see: systemctl status nesgw, and journalctl -u nesgw")
        return EX_UNAVAILABLE
    screen.well(f"the service reads the meter: {summary(report.values)}")
    if outcome.publishes:
        screen.say(f"In Home Assistant: Settings, Devices & services, MQTT, {outcome.label}.")
    return EX_OK
