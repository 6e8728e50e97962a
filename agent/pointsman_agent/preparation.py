"""A verified bundle → everything that acting on it needs: secrets read, badge lists parsed, TLS contexts made.

All of it before the switch, so that what can fail fails while the old bundle is in force (rule 46).
"""

import ssl

from pointsman_schema.badgelist import read_badge_list
from pointsman_schema.bundle import LOCAL, Badge, Bundle, Config, Listener, PasswordReference, UplinkPassword
from pointsman_schema.changes import station_links

from pointsman_agent.certificates import chains_to, hashes_of
from pointsman_agent.handshake import MUTUAL_TLS, key_bytes
from pointsman_agent.inforce import InForce, ReadyListener
from pointsman_agent.ports import SecretMissing, Secrets, SecretValues
from pointsman_agent.routing import Routing
from pointsman_agent.tls import TlsMaterialError, listener_context, supervision_context
from pointsman_agent.verification import BundleRefused


def prepare(bundle: Bundle, secrets: Secrets) -> InForce:
    """Return `bundle` ready to be put in force; reads files, so it belongs in a thread.

    Raises BundleRefused `secret-missing`, `badge-list` or `tls-material`.
    """
    try:
        values = {name: secrets.read(name) for name in sorted(secret_names(bundle.config))}
        _demand_keys(bundle, values)
        supervision_contexts = _supervision_contexts(bundle, values)
        listeners = {name: _listener(listener, values) for name, listener in bundle.config.listeners.items()}
    except SecretMissing as error:
        raise BundleRefused("secret-missing", str(error), bundle=bundle) from error
    except TlsMaterialError as error:
        raise BundleRefused("tls-material", str(error), bundle=bundle) from error
    routing = Routing(bundle, _secret_badges(bundle, values))
    return InForce(routing, values, supervision_contexts, listeners, station_links(bundle.config))


def secret_names(config: Config) -> set[str]:
    """Return the names of all secrets that a configuration needs on this controller."""
    names = set(config.badge_lists)
    for station in config.stations.values():
        if station.password is not None:
            names.add(station.password.secret)
    for name, supervision in config.supervisions.items():
        if supervision.client_certificate is not None:
            names.add(supervision.client_certificate.key)
        if supervision.proxy is not None and supervision.proxy.password is not None:
            names.add(supervision.proxy.password)
        if supervision.password is not None:
            names.update(_uplink_secret(supervision.password, each) for each in _stations_of(config, name))
    for listener in config.listeners.values():
        if listener.certificate is not None:
            names.add(listener.certificate.key)
    return names


def _stations_of(config: Config, supervision: str) -> list[str]:
    return [identity for identity, station in config.stations.items() if station.operator == supervision]


def _uplink_secret(password: UplinkPassword, identity: str) -> str:
    return password.secret.replace("{station}", identity)


def _supervision_contexts(bundle: Bundle, values: SecretValues) -> dict[str, ssl.SSLContext]:
    return {
        name: supervision_context(supervision, values)
        for name, supervision in bundle.config.supervisions.items()
        if supervision.url.startswith("wss:")
    }


def _listener(listener: Listener, values: SecretValues) -> ReadyListener:
    context = listener_context(listener, values)
    chain = listener.certificate
    return ReadyListener(
        listener,
        context,
        frozenset() if chain is None else hashes_of(chain.chain, listener.station_trust),
        chains_to(listener.station_trust) if listener.security_profile == MUTUAL_TLS else None,
    )


def _demand_keys(bundle: Bundle, values: SecretValues) -> None:
    """A `hex` secret that is none would refuse every handshake later; it refuses the bundle instead."""
    config = bundle.config
    references = [station.password for station in config.stations.values() if station.password is not None]
    for name, supervision in config.supervisions.items():
        if supervision.password is not None:
            references += [
                PasswordReference(secret=_uplink_secret(supervision.password, each), format=supervision.password.format)
                for each in _stations_of(config, name)
            ]
    for reference in references:
        try:
            key_bytes(values[reference.secret], reference.format)
        except ValueError as error:
            message = f"secret {reference.secret!r} is {error}"
            raise BundleRefused("secret-missing", message, bundle=bundle) from error


def _secret_badges(bundle: Bundle, values: SecretValues) -> dict[str, Badge]:
    """The badges of secret lists; a number that stands twice, also in the bundle, is a fault of the list."""
    badges: dict[str, Badge] = {}
    for name in bundle.config.badge_lists:
        badge_list = read_badge_list(values[name])
        for fault in badge_list.faults:
            raise _faulty_list(bundle, name, fault.line, f"{fault.message}; {fault.help}")
        for entry in badge_list.entries:
            if entry.folded in badges or entry.folded in bundle.config.badges:
                raise _faulty_list(bundle, name, entry.line, "the badge stands in another list already")
            groups = _groups_of(bundle.config, entry.groups)
            if groups is None:
                raise _faulty_list(bundle, name, entry.line, "it names a group that the site does not serve locally")
            badges[entry.folded] = Badge(
                groups=groups,
                type=entry.type,
                authorized=entry.authorized,
                vip=entry.vip,
                until=entry.until,
                comment=entry.comment,
            )
    return badges


def _groups_of(config: Config, named: tuple[str, ...]) -> list[str] | None:
    """The groups that a list's names mean: `staff` is also every `staff/<station>`; none at all is the one group there
    is. None where a name means no local group."""
    local = [name for name, group in config.groups.items() if group.operator == LOCAL]
    if not named:
        return local if len(local) == 1 else None
    groups: list[str] = []
    for name in named:
        meant = [group for group in local if group == name or group.startswith(f"{name}/")]
        if not meant:
            return None
        groups += meant
    return sorted(set(groups))


def _faulty_list(bundle: Bundle, name: str, line: int, why: str) -> BundleRefused:
    return BundleRefused("badge-list", f"secret {name!r}, line {line}: {why}", bundle=bundle)
