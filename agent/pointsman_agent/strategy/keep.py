"""What a station of a local group is made to do while it is cut off (rules 37, 39, 42). Plans, no I/O.

                 list            LocalAuthorizeOffline   AllowOfflineTxForUnknownId
    known        sent, enabled   true                    false
    any          off             true                    true
    none         off             false                   false

In all three LocalPreAuthorize is false, and the authorization cache off and cleared: each would let a badge charge on
yesterday's knowledge. What the station had before the first write is kept, and given back when it leaves.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from pointsman_agent.strategy.dialects import Dialect, Found, reported_limit
from pointsman_agent.strategy.locallist import LIST_FACT, Limits, clear_list, sync_list
from pointsman_agent.strategy.steps import Ask, Plan, Remember, Report
from pointsman_agent.strategy.wanted import Wanted

BEFORE_FACT: Final = "before"
"""Names and values that the station had before the agent wrote the first one: JSON."""
OPERATOR_FACT: Final = "operator"
REFUSED_FACT: Final = "refused"
"""Names and values that the station refused: not asked again until it boots. JSON."""
OURS: Final = "local"
FACTS: Final = (LIST_FACT, REFUSED_FACT, OPERATOR_FACT, BEFORE_FACT)
"""All that is remembered of a station; the last one says that there is something to undo."""

_REPORT_ID: Final = 37  # of a GetReport; one is open at a time
_DONE: Final = frozenset({"Accepted", "RebootRequired"})
_LEFT_OVER: Final = "charging profiles, reservations and monitors of an earlier operator may be left"


def keep(wanted: Wanted, dialect: Dialect, facts: Mapping[str, str]) -> Plan[Report]:
    """Bring a station to what is wanted; `facts` is what is remembered of it. Returns how far it came."""
    keeping = _Keeping(wanted, dialect, facts)
    return (yield from keeping.run())


def leave(dialect: Dialect, facts: Mapping[str, str]) -> Plan[Report]:
    """Undo `keep` before a station goes to another operator: the list cleared, the values from before set again."""
    refused = []
    if facts.get(BEFORE_FACT) is not None:
        word = yield from clear_list(is_16=dialect.is_16)
        if word not in ("Accepted", "NotSupported"):
            refused.append(f"clearing the local list: {word}")
        before = _read_map(facts[BEFORE_FACT])
        words = yield from dialect.write(before)
        refused += [f"{name}: {word}" for name, word in words.items() if word not in _DONE]
    for name in FACTS:
        yield Remember(name, None)
    return Report(refused=tuple(refused))


class _Keeping:
    """One run of `keep`: what was found, what was refused."""

    def __init__(self, wanted: Wanted, dialect: Dialect, facts: Mapping[str, str]) -> None:
        self._wanted = wanted
        self._dialect = dialect
        self._names = dialect.names
        self._facts = facts
        self._found: dict[str, Found] = {}
        self._was_refused = _read_map(facts.get(REFUSED_FACT))
        self._now_refused: dict[str, str] = {}
        self._refused: list[str] = []
        self._waits: list[str] = []
        self._notes: list[str] = list(wanted.notes)

    def run(self) -> Plan[Report]:
        settings = self._settings()
        self._found = yield from self._dialect.read([*self._names.kept, *self._names.limits, *settings])
        yield from self._find_capacity()
        yield from self._keep_before(settings)
        if OPERATOR_FACT not in self._facts:
            yield from self._arrive()
        uses_list = self._wanted.uses_list
        has_cache = self._is(self._names.cache_enabled, "true")
        yield from self._set(settings if uses_list else {self._names.list_enabled: "false", **settings})
        if has_cache:
            yield from self._clear_cache()
        if uses_list:
            yield from self._keep_list()
        yield from self._read_back(settings)
        if self._now_refused != self._was_refused:
            yield Remember(REFUSED_FACT, _write_map(self._now_refused) if self._now_refused else None)
        return Report(tuple(self._refused), tuple(self._waits), tuple(self._notes))

    def _settings(self) -> dict[str, str]:
        """All that is to be set but the list's own switch, in the order of setting."""
        names, wanted = self._names, self._wanted
        strategy = {
            names.cache_enabled: "false",
            names.pre_authorize: "false",
            names.authorize_offline: _word(wanted.authorizes_offline),
            names.admit_unknown: _word(wanted.admits_unknown),
        }
        return {**strategy, **wanted.keys, **wanted.clock}

    def _find_capacity(self) -> Plan[None]:
        """A 2.x station that does not tell its capacity as an attribute is asked for a report."""
        names = self._names
        if self._dialect.is_16 or not self._wanted.uses_list or names.capacity in self._found:
            return
        if names.list_enabled not in self._found:
            return
        limit = yield from reported_limit(names.capacity, _REPORT_ID)
        if limit is not None:
            self._found[names.capacity] = limit

    def _keep_before(self, settings: Mapping[str, str]) -> Plan[None]:
        """Keep what is there before the first write of each name. A clock's variables are nothing to give back."""
        kept = _read_map(self._facts.get(BEFORE_FACT))
        names = [name for name in (self._names.list_enabled, *settings) if name not in self._wanted.clock]
        fresh = {
            name: found.value
            for name in names
            if name not in kept and (found := self._found.get(name)) is not None and found.value is not None
        }
        if fresh or BEFORE_FACT not in self._facts:
            yield Remember(BEFORE_FACT, _write_map({**kept, **fresh}))

    def _arrive(self) -> Plan[None]:
        """A station that another operator had: nothing of its badges may stay (rule 39)."""
        yield from self._clear_cache()
        word = yield from clear_list(is_16=self._dialect.is_16)
        if word not in ("Accepted", "NotSupported"):
            self._notes.append(f"the list of an earlier operator was not cleared: {word}")
        self._notes.append(_LEFT_OVER)
        yield Remember(OPERATOR_FACT, OURS)

    def _clear_cache(self) -> Plan[None]:
        answer = yield Ask("ClearCache", {})
        if answer.word() not in ("Accepted", "Rejected", "NotSupported", "NotImplemented"):
            self._refused.append(f"ClearCache: {answer.word()}")

    def _set(self, values: Mapping[str, str]) -> Plan[None]:
        """Set what differs and can be set. What a station does not have is off, so only wanting it on is refused."""
        to_set = {}
        for name, value in values.items():
            if self._is(name, value):
                continue
            if name not in self._found:
                if value not in ("false", "") and name not in self._wanted.clock:
                    self._refuse(name, value, "the station does not have it")
            elif self._found[name].is_read_only:
                self._refuse(name, value, f"read-only, and {self._found[name].value}")
            elif self._was_refused.get(name) == value:
                self._refuse(name, value, "refused before")
            else:
                to_set[name] = value
        words = (yield from self._dialect.write(to_set)) if to_set else {}
        self._hear(words, to_set)

    def _hear(self, words: Mapping[str, str], values: Mapping[str, str]) -> None:
        for name, word in words.items():
            if word == "RebootRequired":
                self._waits.append(f"{name}={values[name]} after a restart of the station")
            elif word != "Accepted":
                self._refuse(name, values[name], word or "no status")
            if word in _DONE:
                is_readable = self._found[name].value is not None
                self._found[name] = Found(values[name] if is_readable else None)

    def _keep_list(self) -> Plan[None]:
        """The list, and its switch once the last portion is there; what the station cannot hold stays off."""
        enabled = self._names.list_enabled
        why = self._why_no_list()
        if why is None:
            why = yield from self._sync()
        if why is None:
            yield from self._set({enabled: "true"})
            return
        self._refused.append(f"local list: {why}")
        if not self._is(enabled, "false"):
            yield from self._set({enabled: "false"} if enabled in self._found else {})

    def _why_no_list(self) -> str | None:
        if self._names.list_enabled not in self._found:
            return "the station has none"
        available = self._found.get(self._names.available)
        return "the station has none" if available is not None and available.value == "false" else None

    def _sync(self) -> Plan[str | None]:
        """Some stations take a list only while it is enabled (EVerest's 1.6 answers NotSupported): those get a second
        try with the switch on."""
        limits, kept, is_16 = self._limits(), self._facts.get(LIST_FACT), self._dialect.is_16
        enabled = self._names.list_enabled
        switch_off = self._set({enabled: "false"})
        why = yield from sync_list(self._wanted.entries, limits, kept, switch_off, is_16=is_16)
        if why in ("SendLocalList: NotSupported", "SendLocalList: Failed") and self._is(enabled, "false"):
            yield from self._set({enabled: "true"})
            why = yield from sync_list(self._wanted.entries, limits, None, self._set({}), is_16=is_16)
        return why

    def _limits(self) -> Limits:
        names = self._names
        return Limits(
            self._number(names.capacity), self._number(names.per_message), self._number(names.per_message_bytes)
        )

    def _read_back(self, settings: Mapping[str, str]) -> Plan[None]:
        """What was accepted must be there; a value that needs a restart is not yet."""
        enabled = self._names.list_enabled
        expected = {name: value for name, value in settings.items() if self._is(name, value)}
        if enabled in self._found:
            expected[enabled] = (self._found[enabled].value or "").lower()
        waiting = {wait.partition("=")[0] for wait in self._waits}
        expected = {name: value for name, value in expected.items() if name not in waiting}
        again = yield from self._dialect.read(list(expected))
        for name, value in expected.items():
            found = again.get(name)
            if found is None or (found.value is not None and not _same(found.value, value)):
                self._refuse(name, value, f"accepted, and still {found.value if found else 'missing'}")

    def _refuse(self, name: str, value: str, why: str) -> None:
        self._refused.append(f"{name}={value}: {why}")
        self._now_refused[name] = value

    def _is(self, name: str, value: str) -> bool:
        found = self._found.get(name)
        return found is not None and found.value is not None and _same(found.value, value)

    def _number(self, name: str) -> int | None:
        """A limit of 0 is none: no station has a list that holds nothing."""
        found = self._found.get(name)
        text = found.value if found is not None else None
        return int(text) or None if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def _same(found: str, wanted: str) -> bool:
    """Booleans do not know case; everything else does."""
    return found.lower() == wanted if wanted in ("true", "false") else found == wanted


def _read_map(text: str | None) -> dict[str, str]:
    return {} if text is None else msgspec.json.decode(text, type=dict[str, str])


def _write_map(values: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(values), order="sorted").decode()
