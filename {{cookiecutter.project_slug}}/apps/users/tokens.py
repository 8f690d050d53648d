"""Tokens with which programs use the HTTP API in the name of a user.

A token is signed and not stored. It ends with its time, when the user changes the password
or is deactivated, and with the secret key that signed it; and when a login hashes the password
anew, as one does after an upgrade of Django.
"""

from django.conf import settings
from django.core import signing
from django.utils.crypto import constant_time_compare

from apps.users.models import User

SALT = "apps.users.tokens"


def make(user: User) -> str:
    """Return a new token for a user."""
    return signing.dumps([user.pk, user.get_session_auth_hash()], salt=SALT)


def read(token: str) -> User | None:
    """Return the user that a token stands for, if it still counts."""
    try:
        pk, proof = signing.loads(token, salt=SALT, max_age=settings.API_TOKEN_AGE)
    except signing.BadSignature:
        return None
    user = User.objects.filter(pk=pk, is_active=True).first()
    if user is None:
        return None
    proofs = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(proof, valid) for valid in proofs) else None
