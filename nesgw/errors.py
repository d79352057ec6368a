"""Every error a user can meet: what happened, what to do now, and the exit code it ends a command with.

The branches are chosen by what the daemon does about them:

    NesgwError
      ConfigError              stop; systemd does not restart it
      WrongUsage               of a command
      SetupDenied              of nesgw setup
      Retryable                close the session, wait, try again
        PortUnavailable          the device is missing, busy, not permitted or gone
        NoAnswer                 silence, nothing but our own echo, or another device
        LineTooNoisy             answers arrive, but damaged
        PollTooLong              the time that the caller allows is over
        QuietNow                 the port is the utility's for a while
        MeterBusy                the meter says bsy, dnr, dlk or rno
        SessionRefused           the meter answers, but gives no session
        NumberRefused            the MEP port wants another sequence number, again and again
        MeterMisbehaved          sound packets with unsound content
        ReaderBusy, ReaderGone   of a command that the daemon reads for
        BrokerUnavailable        MQTT
        HomeAssistantUnavailable only of nesgw backfill
        CacheUnavailable         the RAM disk
        IdentityTaken            two meters of one gateway have one number
      OperatorNeeded           go on slowly, say so; only a person can mend it
        KeyRefused
        TokenRefused             of Home Assistant
        UnsupportedMeter
      TableNotPresent          do without that table
      OutputFailed             of a command
      NothingFilled            of nesgw backfill: the two histories do not fit together
      LibraryMissing           of a command that alone needs it
      Stopped                  told to stop: no failure
      ProtocolMisuse           a defect in nesgw; never caught

What is the same to the daemon and another thing to its owner, because the meter is read through its MEP port, is a
branch of the above: its name begins with Mep, or tells what is wrong with that port.

An error carries its facts as attributes and composes its sentence from them, so that a log line can hold the
fields and a terminal the text. No fact is ever a secret.
"""

from __future__ import annotations

from typing import ClassVar, Final

# sysexits.h
EX_OK: Final = 0
EX_USAGE: Final = 64
EX_UNAVAILABLE: Final = 69
EX_SOFTWARE: Final = 70
EX_IOERR: Final = 74
EX_NOPERM: Final = 77
EX_CONFIG: Final = 78


class NesgwError(Exception):
    """The root. ``what`` and ``do`` are templates that the keyword facts fill in."""

    kind: ClassVar[str] = "defect"  # the short name in logs and in the status topic's failure counters
    exit_code: ClassVar[int] = EX_SOFTWARE
    what: ClassVar[str] = "{problem}"
    do: ClassVar[str] = ""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(facts)

    @property
    def happened(self) -> str:
        """What happened, as one sentence without a full stop."""
        return self.what.format(**self.facts)

    @property
    def remedy(self) -> str:
        """What the user can do now; empty where there is nothing to say."""
        return self.do.format(**self.facts)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.happened, self.remedy) if part)


class ConfigError(NesgwError):
    """The configuration is wrong. ``problems`` holds one line a mistake."""

    kind = "config"
    exit_code = EX_CONFIG

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problem="\n".join(problems))
        self.problems = problems


class WrongUsage(NesgwError):
    """The command line contradicts itself, or says something that is not understood."""

    kind = "usage"
    exit_code = EX_USAGE
    do = "see: nesgw {command} --help"

    def __str__(self) -> str:
        return f"{self.happened}; {self.remedy}"  # as argparse's own complaints end


class SetupDenied(NesgwError):
    """nesgw setup could write nothing at its end."""

    kind = "setup"
    exit_code = EX_NOPERM
    what = "user {user} may not write to {folder}"
    do = "run: sudo nesgw setup"


class Retryable(NesgwError):
    """Passing trouble: the session is closed and the next poll tries again."""

    exit_code = EX_UNAVAILABLE


class PortUnavailable(Retryable):
    """The serial device cannot be used now."""

    kind = "port"
    what = "{port}: {problem}"


class PortMissing(PortUnavailable):
    """No such device."""

    what = "{port}: no such device"
    do = "plug the probe in, or look with 'ls -l /dev/serial/by-id/' which name it has and set that as port"


class NoProbe(PortMissing):
    """``port = "auto"`` and there is nothing to choose from."""

    what = 'port = "auto" finds no USB serial device'
    do = "plug the probe in; one that is not on USB has to be named as port"


class NotSerial(PortUnavailable):
    """Something is there, but no serial device."""

    what = "{port}: not a serial port"
    do = "set port to the name of the probe; 'ls -l /dev/serial/by-id/' shows it"


class PortAmbiguous(PortUnavailable):
    """``port = "auto"`` and there is not exactly one probe."""

    what = 'port = "auto" finds {count} USB serial devices: {names}'
    do = "set port to the one that is the probe"


class PortBusy(PortUnavailable):
    """Another program holds the device."""

    what = "{port}: in use by {holder}"
    do = "stop that program (for the nesgw service: sudo systemctl stop nesgw)"


class ReaderDenied(PortBusy):
    """The daemon holds the device and would read for the command, but this user may not ask it."""

    exit_code = EX_NOPERM
    what = "{port}: in use by {holder}; if that is the nesgw service, user {user} may not ask it to read"
    do = "sudo usermod -aG {group} {user}, then log in again; or run the command with sudo"


class PortShared(PortBusy):
    """Another program had the device open before us, locks nothing, and takes bytes that are meant for us."""

    what = "{port}: in use by {holder} at the same time, which takes the meter's answers away"


class PortDenied(PortUnavailable):
    """The device may not be opened by this user."""

    exit_code = EX_NOPERM
    what = "{port}: permission denied for user {user}; the device belongs to group {group}"
    do = "sudo usermod -aG {group} {user}, then log in again"


class PortOfRoot(PortDenied):
    """The device is root's own: to join that group would give away far more than the port."""

    do = "run the command with sudo, or give the device to a group such as dialout"


class BridgeUnreachable(PortUnavailable):
    """A port on the network that cannot be reached."""

    do = "switch the bridge on, or correct its host and port"


class PortLost(PortUnavailable):
    """The device went away while it was in use."""

    what = "{port}: the probe was unplugged or its driver failed ({problem})"
    do = "plug it in again; nesgw goes on by itself"


class BridgeLost(PortLost):
    """The connection to a port on the network broke."""

    what = "{port}: the connection was lost ({problem})"
    do = (
        "see whether the bridge is on, and whether another program uses it: most serve one at a time "
        "(for the nesgw service: sudo systemctl stop nesgw); nesgw goes on by itself"
    )


class NoAnswer(Retryable):
    """Every attempt went unanswered."""

    kind = "no_answer"
    what = "{port}: the meter does not answer ({service} was sent {attempts} times)"
    do = "seat the probe squarely on the optical port (nesgw align shows how well it sits)"


class Unanswered(NoAnswer):
    """The meter takes the request, and nothing follows."""

    what = "{port}: the meter acknowledges {service} and does not answer it"
    do = (
        "leave the probe as it is, it sits well; wait some minutes: another reader, at the meter's other port too, may "
        "keep it busy; if it lasts, please report it with the meter's model"
    )


class EchoOnly(NoAnswer):
    """The probe sees its own light and nothing else."""

    what = "{port}: only the probe's own echo comes back ({service} was sent {attempts} times)"
    do = "turn the probe by 180 degrees: its transmitter faces the meter's transmitter"


class BridgeSilent(NoAnswer):
    """Silence behind a bridge, whose settings may be at fault as well as the probe."""

    do = (
        "seat the probe squarely on the optical port (nesgw align shows how well it sits); "
        "set the bridge to 9600 baud 8N1 without flow control, and to raw TCP for socket:// or RFC 2217 for rfc2217://"
    )


class WrongDevice(NoAnswer):
    """Something speaks on the port, and what it says shows that it is no meter behind a probe."""

    kind = "wrong_device"
    what = "{port}: no meter is on this port, but {device}"
    do = "{advice}"


class LineTooNoisy(Retryable):
    """The meter answers, but what arrives is damaged."""

    kind = "noise"
    what = "{port}: the meter's answer arrived damaged {attempts} times ({service})"
    do = "turn the probe by a few degrees and keep bright light off it (nesgw align shows how well it sits)"


class RequestDamaged(LineTooNoisy):
    """The meter refused each transmission of our request as damaged."""

    what = "{port}: our request reached the meter damaged {attempts} times ({service})"


class PollTooLong(Retryable):
    """The time that the caller allows is over."""

    kind = "too_long"
    what = "{port}: the time for one reading ran out ({service})"
    do = "seat the probe well (nesgw align shows how well it sits), or allow a longer poll_interval"


class LineSlow(PollTooLong):
    """The same, and nothing was damaged or repeated: the meter, or the network before it, takes its time."""

    what = "{port}: the time for one reading ran out ({service}); an answer takes up to {seconds} s"
    do = "set a longer poll_interval: the meter or the line to it is slow, and the probe sits well"


class QuietNow(Retryable):
    """The owner has set this time aside for the utility's own reader."""

    kind = "quiet"
    what = "the meter's port is left to the utility until {until} (quiet)"
    do = "try again then"


class MeterBusy(Retryable):
    """The meter refuses for now."""

    kind = "busy"
    what = "the meter answered {code} to {service}"
    do = "nothing to do unless it lasts; nesgw tries again"


class SessionRefused(Retryable):
    """The meter answers but gives no session."""

    kind = "session"
    what = "the meter refused {service}: {code}"
    do = (
        "after a session of more than ten minutes a meter ignores its optical port for five; "
        "if it lasts, the port may be closed or ask for TLS: ask the utility"
    )


class MeterMisbehaved(Retryable):
    """Sound packets, unsound content. The bytes are facts for the log."""

    kind = "content"
    what = "the meter's answer to {service} makes no sense: {problem}"
    do = "if it lasts, please report it with the output of nesgw dump"


# Why the MEP port may be silent, in the order in which to look.
MEP_CAUSES: Final = (
    "the cable (TxD, RxD, ground), its RS-232 levels, and Enable, which has to be on",
    "another program on the port",
    "a reading at the optical port, which shares the meter's line",
    "the baud rate",
    "a meter that asks for TLS",
    "at last, the utility may have switched the port off: ask it to activate the MEP port",
)


class MepNoAnswer(NoAnswer):
    """Silence on the MEP port."""

    do = "look in this order: " + "; ".join(MEP_CAUSES)


class LoopedBack(MepNoAnswer):
    """The MEP port's cable gives back what we send."""

    what = "{port}: only our own request comes back, no answer to {service}"
    do = "TxD and RxD are joined somewhere: compare each wire with the drawing in the meter's terminal cover"


class WrongLevels(MepNoAnswer):
    """Nothing but zeros: an inverted or floating line, or Enable is off."""

    what = "{port}: nothing but zeros arrives, no answer to {service}"
    do = "the port needs RS-232 levels, not 3.3 V logic, and 5 to 12 V on Enable: use an adapter with a DE-9 plug"


class MepLineTooNoisy(LineTooNoisy):
    """What arrives from the MEP port is damaged."""

    do = "press all plugs home, join the grounds, and keep the cable short and away from the mains"


class MepRequestDamaged(MepLineTooNoisy, RequestDamaged):
    """The meter took the key before, and now each transmission of our request for one with a wrong digest."""

    what = RequestDamaged.what


class EnableWeak(MepLineTooNoisy):
    """Long answers of the MEP port lose their end, short ones arrive."""

    what = "{port}: long answers arrive cut short, with {got} of {expected} bytes"
    do = (
        "Enable feeds the meter's transmitter and sags: feed it from a stiff 5 to 12 V; nesgw asks for little meanwhile"
    )


class MepPollTooLong(PollTooLong):
    """The time that the caller allows is over on the MEP port."""

    do = "look at the cable and at Enable, or allow a longer poll_interval"


class NumberRefused(Retryable):
    """The meter refuses the very sequence numbers that it asks for."""

    kind = "number"
    what = "{port}: the meter refuses each sequence number for {service}, {attempts} times"
    do = "no second device may talk to the same MEP port; if there is none, nesgw tries again"


class TlsWanted(SessionRefused):
    """The MEP port answers only within TLS."""

    do = "the MEP port seems to ask for TLS, which nesgw does not speak: ask the utility to do without it"


class ReaderBusy(Retryable):
    """The daemon is there and does not answer in time."""

    kind = "service"
    what = "the nesgw service has not answered for {seconds} s"
    do = "it may be busy with another nesgw command, or its meter does not answer (nesgw doctor): try again"


class ReaderGone(Retryable):
    """The daemon ended while it was being asked, or does not speak as it should."""

    kind = "service"
    what = "the nesgw service ended while it was reading for this command"
    do = "start the command again"


class BrokerUnavailable(Retryable):
    """The MQTT broker cannot be reached or does not let us in."""

    kind = "broker"
    what = "MQTT broker {host}:{port}: {problem}"
    do = "{advice}"


class HomeAssistantUnavailable(Retryable):
    """Home Assistant's WebSocket interface cannot be reached, or gives no answer."""

    kind = "home_assistant"
    what = "Home Assistant at {url}: {problem}"
    do = "{advice}"


class CacheUnavailable(Retryable):
    """The RAM disk is full, gone or not ours to write; the files of before stay as they are."""

    kind = "cache"
    what = "{directory}: {problem}"
    do = "make room there or give the folder back to the nesgw user; MQTT goes on without it"


class IdentityTaken(Retryable):
    """Two meters of one gateway with the same number: the second is not published over the first."""

    kind = "identity"
    what = "another meter of this gateway has the same number {id}: {other}"
    do = (
        "read each meter through one port only: its optical and its MEP port share one line, and disturb one another; "
        "if these are two meters, ask the utility for their numbers"
    )


class OperatorNeeded(NesgwError):
    """Only a person can mend it; asking the meter again at the poll's pace would do harm."""

    exit_code = EX_UNAVAILABLE


class KeyRefused(OperatorNeeded):
    """The meter does not take the key, or the key does not open what we read."""

    kind = "key"
    exit_code = EX_NOPERM
    what = "the meter refused the key: it answered {service} with {code}"
    do = (
        "compare the key with the utility's letter: it must be the optical read-only key of this very meter; "
        "do not try the same key again, for a meter counts wrong keys, raises an alarm, and may lock its port"
    )


class MepKeyRefused(KeyRefused):
    """The MEP port does not take the key. ``form`` is the one in which the key was understood."""

    do = (
        "compare the key with the utility's letter: it was taken as {form}; 20 characters are taken as they stand, "
        "also where they look like hex digits; ask for the MEP key (MBK) of this very meter"
    )


class KeyRests(MepKeyRefused):
    """The MEP port refused the key not long ago, so the meter was not asked."""

    what = "the meter refused the key; it is shown again in {seconds} s"


class MepTableClosed(MepKeyRefused):
    """The MEP port takes the key, which does not open this table."""

    what = "the key does not open this table of the meter: {service} was answered {code}"
    do = "ask for the MEP key (MBK) of this very meter; what its hardware lock covers, no key opens"


class TokenRefused(OperatorNeeded):
    """Home Assistant does not take the token. Never tried again by itself: it counts as a failed login."""

    kind = "token"
    exit_code = EX_NOPERM
    what = "Home Assistant at {url}: {problem}"
    do = "make a long-lived access token as an administrator (your profile, Security), and write it into token_file"


class UnsupportedMeter(OperatorNeeded):
    """A meter whose tables nesgw cannot read safely."""

    kind = "unsupported"
    what = "this meter's tables cannot be read safely: {problem}"
    do = "please report it with the output of nesgw dump"


class TableNotPresent(NesgwError):
    """The meter has no such table (response code iar)."""

    kind = "table"
    exit_code = EX_UNAVAILABLE
    what = "the meter has no table {table}"


class NoLoadProfile(TableNotPresent):
    """The meter has a load profile table for nothing, or none."""

    what = "the meter keeps no load profile"
    do = "the utility decides that; ask there"


class OutputFailed(NesgwError):
    """What a command prints or writes finds no room."""

    kind = "output"
    exit_code = EX_IOERR
    what = "{place}: {problem}"
    do = "make room there, or write to another place"


class NothingFilled(NesgwError):
    """Home Assistant's statistics and the meter's load profile do not fit together, so nothing was written."""

    kind = "backfill"
    exit_code = EX_UNAVAILABLE
    what = "{problem}"
    do = "{advice}"


class LibraryMissing(NesgwError):
    """A command needs a Python library that the rest does without."""

    kind = "library"
    exit_code = EX_UNAVAILABLE
    what = "nesgw {command} needs the Python library {library}, which is not installed"
    do = "sudo apt install {package}"


class Stopped(NesgwError):
    """We were told to stop while the meter was being read: no failure."""

    kind = "stopped"
    exit_code = EX_OK
    what = "stopped"


class ProtocolMisuse(NesgwError):
    """We asked for something that the protocol does not allow: a defect in nesgw."""

    kind = "defect"
    what = "{problem}"
