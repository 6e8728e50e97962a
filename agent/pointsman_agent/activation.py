"""How a bundle comes into force: verify → stage → prepare → switch → retire; a failed step undoes only the new."""

from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pointsman_schema.bundle import Bundle

from pointsman_agent.inforce import Holder, InForce
from pointsman_agent.listener import ListenerFault, Listeners, PreparedListeners
from pointsman_agent.ocpp.answers import rfc3339
from pointsman_agent.ports import BundleStore, Clock, Failure, Secrets, StoredState
from pointsman_agent.preparation import prepare
from pointsman_agent.session import Sessions
from pointsman_agent.status import BundleInForce, Status
from pointsman_agent.uplink import Uplinks
from pointsman_agent.verification import BundleRefused, Expectation, verify

CONFIGURATION_CHANGED: Final = 1012  # RFC 6455 registry: Service Restart

log = structlog.get_logger()


class Activation:
    """Puts bundles in force, one after the other, and remembers what was refused and why."""

    def __init__(
        self,
        *,
        site: str,
        trusted: Sequence[Ed25519PublicKey] | None,
        stored: StoredState,
        store: BundleStore,
        secrets: Secrets,
        holder: Holder,
        listeners: Listeners,
        sessions: Sessions,
        uplinks: Uplinks,
        status: Status,
        clock: Clock,
        nursery: trio.Nursery,
    ) -> None:
        self._site = site
        self._trusted = trusted
        self._stored = msgspec.structs.replace(stored, site=site)
        self._store = store
        self._secrets = secrets
        self._holder = holder
        self._listeners = listeners
        self._sessions = sessions
        self._uplinks = uplinks
        self._status = status
        self._clock = clock
        self._nursery = nursery
        self._watching = trio.CancelScope()
        self._one_at_a_time = trio.Lock()
        status.site = site
        status.last_failed = stored.last_failed

    async def resume(self) -> None:
        """Put the last good bundle in force again, after a restart (rule 48); without one nothing happens.

        A bundle that was good and is refused now (a secret is gone) is a refusal like any other: the state is then
        `waiting`.
        """
        if self._stored.bundle is None:
            return
        try:
            envelope = await trio.to_thread.run_sync(self._store.read, self._stored.bundle)
        except OSError as error:
            await self._refused(BundleRefused("storage", f"the bundle in force cannot be read: {error}"))
            return
        await self._activate(envelope, is_new=False)

    async def offer(self, envelope: bytes) -> bool:
        """Put `envelope` in force, or refuse it and keep what is; True when it is in force afterwards."""
        return await self._activate(envelope, is_new=True)

    async def fail(self, code: str, message: str) -> None:
        """Note that a source could not give a bundle at all. One that is missing is only worth a log line while another
        is in force: deployments remove a file before they lay down the next."""
        if code == "missing" and self._holder.current is not None:
            log.warning("no bundle file", why=message)
            return
        await self._refused(BundleRefused(code, message))

    async def _activate(self, envelope: bytes, *, is_new: bool) -> bool:
        async with self._one_at_a_time:
            try:
                await self._walk(envelope, is_new=is_new)
            except BundleRefused as error:
                await self._refused(error)
                return False
        return True

    async def _walk(self, envelope: bytes, *, is_new: bool) -> None:
        bundle = verify(envelope, self._expectation())
        self._status.desired = BundleInForce(bundle.config_digest, bundle.sequence, rfc3339(self._clock.now()))
        name = f"{bundle.sequence}-{bundle.config_digest[7:19]}.bundle"
        if is_new:
            await self._stage(name, envelope, bundle)
        current = self._holder.current
        if current is not None and await self._is_unchanged(current, bundle):
            await self._keep(name, bundle, is_new=is_new)
            return
        prepared = await trio.to_thread.run_sync(prepare, bundle, self._secrets)
        sockets = await self._prepare_listeners(bundle)
        try:
            await self._keep(name, bundle, is_new=is_new)
        except BundleRefused:
            await sockets.abandon()
            raise
        self._switch(prepared, sockets)
        log.info("bundle in force", sequence=bundle.sequence, digest=bundle.config_digest)

    async def _is_unchanged(self, current: InForce, bundle: Bundle) -> bool:
        """The same configuration with the same secrets touches no connection (rule 43)."""
        if current.routing.bundle.config_digest != bundle.config_digest:
            return False
        prepared = await trio.to_thread.run_sync(prepare, bundle, self._secrets)
        return prepared.secrets == current.secrets

    async def _stage(self, name: str, envelope: bytes, bundle: Bundle) -> None:
        try:
            await trio.to_thread.run_sync(self._store.stage, name, envelope)
        except OSError as error:
            raise BundleRefused("storage", f"the bundle cannot be stored: {error}", bundle=bundle) from error

    async def _prepare_listeners(self, bundle: Bundle) -> PreparedListeners:
        try:
            return await self._listeners.prepare(bundle.config.listeners)
        except ListenerFault as error:
            raise BundleRefused("listener", str(error), bundle=bundle) from error

    async def _keep(self, name: str, bundle: Bundle, *, is_new: bool) -> None:
        """Make it the bundle to start from: saved before the switch, or a restart would go back in time."""
        is_same = name == self._stored.bundle
        state = msgspec.structs.replace(
            self._stored,
            bundle=name,
            activated_at=self._stored.activated_at if is_same else rfc3339(self._clock.now()),
            highest_sequence=bundle.sequence,
            highest_digest=bundle.config_digest,
            last_failed=None if is_new else self._stored.last_failed,
        )
        await self._save(state, bundle)
        self._status.active = BundleInForce(bundle.config_digest, bundle.sequence, state.activated_at)
        self._status.last_failed = state.last_failed

    async def _save(self, state: StoredState, bundle: Bundle | None) -> None:
        try:
            await trio.to_thread.run_sync(self._store.save, state)
        except OSError as error:
            raise BundleRefused("storage", f"the state cannot be stored: {error}", bundle=bundle) from error
        self._stored = state

    def _switch(self, prepared: InForce, sockets: PreparedListeners) -> None:
        """In one assignment; then retire the old: every link is made again over the new configuration."""
        self._holder.current = prepared
        self._status.forget_absent(prepared.routing)
        self._uplinks.forget()
        self._watching.cancel()
        self._watching = trio.CancelScope()
        self._nursery.start_soon(self._watch, prepared, self._watching)
        self._listeners.switch(sockets)
        self._sessions.end_all(CONFIGURATION_CHANGED, "configuration changed", "closed")

    async def _watch(self, prepared: InForce, scope: trio.CancelScope) -> None:
        """Watch every supervision of the bundle in force, until another one is."""
        with scope:
            async with trio.open_nursery() as nursery:
                for name in prepared.routing.config.supervisions:
                    nursery.start_soon(self._uplinks.watch, prepared, name)

    async def _refused(self, error: BundleRefused) -> None:
        failure = Failure(error.digest, error.sequence, rfc3339(self._clock.now()), error.code, str(error))
        self._status.last_failed = failure
        log.error("bundle refused", code=error.code, why=str(error), digest=error.digest, sequence=error.sequence)
        try:
            await self._save(msgspec.structs.replace(self._stored, last_failed=failure), None)
        except BundleRefused as storage:
            log.error("refusal not stored", why=str(storage))

    def _expectation(self) -> Expectation:
        return Expectation(self._site, self._trusted, self._stored.highest_sequence, self._stored.highest_digest)
