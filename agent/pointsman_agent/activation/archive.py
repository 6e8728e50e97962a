"""Bundles on disk and the state that names them, as the activation sees them (rules 46 and 48)."""

from collections.abc import Sequence
from typing import Any

import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pointsman_schema.bundle import Bundle

from pointsman_agent.inforce import InForce
from pointsman_agent.ports import BundleStore, Secrets, StoredState
from pointsman_agent.preparation import prepare
from pointsman_agent.verification import BundleRefused, Expectation, verify


class Archive:
    """`stored` is what was saved last. Everything that reads or writes runs in a thread."""

    def __init__(
        self,
        site: str,
        trusted: Sequence[Ed25519PublicKey] | None,
        stored: StoredState,
        store: BundleStore,
        secrets: Secrets,
    ) -> None:
        self._site = site
        self._trusted = trusted
        self._store = store
        self._secrets = secrets
        self.stored = msgspec.structs.replace(stored, site=site)

    async def verify(self, envelope: bytes) -> Bundle:
        """Return the bundle in an envelope from outside; raises BundleRefused."""
        expected = Expectation(self._site, self._trusted, self.stored.highest_sequence, self.stored.highest_digest)
        return await trio.to_thread.run_sync(verify, envelope, expected)

    async def prepare(self, bundle: Bundle) -> InForce:
        """Return `bundle` ready to be put in force; raises BundleRefused."""
        return await trio.to_thread.run_sync(prepare, bundle, self._secrets)

    async def open(self, name: str) -> InForce:
        """Return a bundle that was in force, ready again; its sequence may be any. Raises BundleRefused."""
        return await trio.to_thread.run_sync(self._open, name)

    async def stage(self, name: str, envelope: bytes, bundle: Bundle) -> None:
        """Store an envelope durably; raises BundleRefused `storage`."""
        try:
            await trio.to_thread.run_sync(self._store.stage, name, envelope)
        except OSError as error:
            raise BundleRefused("storage", f"the bundle cannot be stored: {error}", bundle=bundle) from error

    async def save(self, **changes: Any) -> None:
        """Change the state, durably and in one step; raises OSError, nothing changed."""
        state = msgspec.structs.replace(self.stored, **changes)
        await trio.to_thread.run_sync(self._store.save, state)
        self.stored = state

    def _open(self, name: str) -> InForce:
        try:
            envelope = self._store.read(name)
        except OSError as error:
            raise BundleRefused("storage", f"the bundle in force cannot be read: {error}") from error
        anything = Expectation(self._site, self._trusted, highest_sequence=-1, highest_digest="")
        return prepare(verify(envelope, anything), self._secrets)


def name_of(bundle: Bundle) -> str:
    """Return the name under which a bundle is stored."""
    return f"{bundle.sequence}-{bundle.config_digest[7:19]}.bundle"
