"""What each event of the log means, and what to do where something is to be done; docs/log-events.md shows it. Pure."""

from typing import Final

EVENTS: Final = {
    "a supervision's clock differs from ours": "By 30 s or more. Its stations follow its clock. Check the "
    "controller's time server first (`timedatectl`).",
    "admin certificate not replaced": "The new files of that certificate cannot be used; the old one stays.",
    "admin certificate replaced": "The files of the admin interface's certificate changed, and are used from now on.",
    "admin request failed": "A fault of the agent itself while it answered on the admin interface. Please report it.",
    "agent ended": "The agent was asked to stop and has told all stations.",
    "agent runs": "The agent is up; the last good bundle, if any, is in force.",
    "asked by hand": "Somebody sent a CALL to a local station with `call`, `start`, `stop`, `reset` or `unlock`.",
    "attempt not counted": "The journal does not store; the number of attempts to clear a station is not kept.",
    "boot told": "A station's new operator was told of its last boot. `outcome` says how it took that.",
    "bundle event not stored": "The journal does not store; the bundle itself is in force all the same.",
    "bundle has proven itself": "Its probation is over. `silent` are stations that did not come meanwhile.",
    "bundle in force": "A new bundle was put in force.",
    "bundle in force again": "A bundle that was in force before is so again, after a start or a return.",
    "bundle in quarantine": "The bundle failed its probation lately and is not tried again yet. `reload --retry` does.",
    "bundle refused": "The old one stays in force. `doctor` tells what to do about `code`.",
    "bundle refused again": "The same bundle for the same reason as before.",
    "bundle server away": "The server of `--bundle` or `--rollout` does not answer. What is in force stays; it is "
    "asked again.",
    "bundle source failed": "A fault of the agent itself where it looks for bundles. What is in force stays, and it "
    "looks again. Please report it.",
    "cannot go back to the previous bundle yet": "A probation failed, and so did the return. It is tried again.",
    "cloned identity": "Two addresses replace each other under one identity: two devices have the same one. Give one "
    "of them another, or a password.",
    "dropped": "A message that may not be passed on, and why; see behaviour, The relay.",
    "journal does not store": "Links of stations with transaction messages close until it does. Make room on the disk.",
    "link ended": "A station's connection ended. `error` is the reason class; troubleshooting has a chapter for each.",
    "messages not kept": "A fault of the agent itself while it kept messages for a station's page. Report it.",
    "moves not stored": "Which stations wait for their move is not on the disk; a restart would move them at once.",
    "no bundle file": "There is no file where `--bundle` says. It is taken when it comes.",
    "no common subprotocol": "The station speaks no OCPP version that it may speak here. See `protocols` of the site.",
    "no handshake": "A client connected and made no WebSocket handshake: a port scan, TLS that failed, or silence.",
    "no more connections can be accepted for now": "The process has no descriptor left. Raise LimitNOFILE.",
    "no reports: their folder cannot be used": "`STATE/push` cannot be made or read, so nothing is pushed. It is tried "
    "again each minute; stations are served all the while.",
    "no uplink": "The supervision cannot be reached or refuses the station, so the station is refused too. `error` "
    "is the reason class; `pointsman-agent test` tells the step.",
    "noticed": "Something that passes and is worth a line, such as a message of a kind that the agent does not know.",
    "observation not read": "What the journal knew of a relayed station could not be read. It counts as charging.",
    "observations not stored": "The journal does not store what is seen of relayed stations. It is tried again.",
    "old entries deleted": "Entries older than `journal.keepDays`.",
    "old entries not deleted": "The journal does not store. It is tried again.",
    "one action loses the link again and again": "The supervision leaves that action unanswered, three times in a "
    "row. The station is held back; tell its operator, or set `condemn: silent`.",
    "pushing failed": "A fault of the agent itself where it pushes its state. It goes on after a while. "
    "Please report it.",
    "refusal not stored": "A bundle was refused, and the state folder does not store.",
    "report not kept": "The state could not be kept on the disk until the metrics store takes it. The newest waits in "
    "memory. Make room on the disk.",
    "reports are dropped: too many wait": "The metrics store has been away for two days, or takes less than comes. "
    "The oldest go. Told once until reports are sent again.",
    "reports are sent again": "The metrics store of `--push` takes reports again; those that waited are sent first.",
    "reports cannot be read from the disk; they are passed over": "Files in `STATE/push` are gone, damaged, or belong "
    "to somebody else. Told once. What can be read after a restart is sent then.",
    "reports wait: the metrics store does not take them": "The metrics store of `--push` is away or refuses us. "
    "Reports are kept on the disk meanwhile.",
    "rollout is fresh again": "The rollout's metadata is believed again.",
    "rollout is stale": "The rollout's metadata has ended, or nothing was heard of it until it did. What is in force "
    "stays; nothing new is taken. Whoever publishes has to run `pointsman rollout refresh`.",
    "security event kept": "A station's security event, or one of the agent's own; `pointsman-agent security-events`.",
    "security event not stored": "The journal does not store. The station's is not answered; it sends it again.",
    "slow supervision": "An answer took more than a third of `messageTimeout`: links will be lost over it.",
    "state not stored": "The state folder does not store. After a restart the bundle before this one is in force.",
    "station cleared for its new operator": "Its local list is emptied and its settings are what they were.",
    "station connected": "A station is connected to its operator.",
    "station dropped": "A fault of the agent itself; that station alone lost its connection. Please report it.",
    "station goes back to its operator": "After its move it did not get through to the new one.",
    "station goes to its new operator as it is": "It could not be cleared in many attempts.",
    "station left": "A client left before its handshake was over.",
    "station moved with something open": "Its transactions did not end within `activation.drainLimit`.",
    "station moves": "Its operator changes now; it reconnects.",
    "station not cleared": "Its list or settings could not be taken back yet. It is tried at its next connection.",
    "station refused": "An unknown identity (404), or no right password or certificate (401). `silent` counts "
    "earlier ones of that address that were not logged.",
    "stations do not wait for their move any more": "The bundle that they waited under cannot be read again.",
    "status not looked at": "A fault of the agent itself while it told a page what changed. Please report it.",
    "strategy": "What the agent keeps in force at a local station for when it is cut off, and what it refused.",
    "strategy not in force": "The station could not be told. It is tried again.",
    "supervision not reachable": "The agent tried by itself, without a station. `error` is the reason class.",
    "the clock went back": "The controller's clock is behind the newest entry of the journal. Local boots are "
    "answered Pending until it is right.",
    "the journal stores again": "The fault is over.",
    "the metrics store refuses a report for what it says; it is let go": (
        "The metrics store of `--push` answered that a report is wrong (`status` 400: please report it) or too large "
        "(413: let the store, or the web server before it, take 1 MiB)."
    ),
    "the rollout's metadata has ended": "See `rollout is stale`.",
    "too many handshakes": "More connect at once than are let in; they come again.",
    "uplink key not stored": "A supervision set a new password for a station, and it cannot be kept: Rejected.",
    "uplink key stored": "A supervision set a new password for a station's uplink.",
    "went back to the previous bundle": "Stations did not get through with the new one during its probation.",
}
"""By event; a test holds them against the calls in the code, both ways."""
