"""Bearer tokens out of secrets (RFC 6750, section 2.1), checked before any request holds them."""

from pointsman_agent.ports import SecretMissing, Secrets


def read_bearer(secrets: Secrets, name: str) -> str:
    """Return the token in the secret `name`, white space at its end cut; raises SecretMissing, never with its value.

    An HTTP library repeats a header that it refuses in its error, which goes into logs and reports.
    """
    token = secrets.read(name).rstrip(b" \t\r\n")
    if not token or any(not 0x21 <= byte <= 0x7E for byte in token):
        message = f"secret {name!r} is no token: it may have visible ASCII characters only, and at least one"
        raise SecretMissing(name, message)
    return token.decode("ascii")
