"""A token stands for a user until something that it depends on changes."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from apps.users import tokens
from apps.users.models import User

ME = "/api/v1/users/me"


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create(username="somebody")


def test_a_program_calls_in_the_name_of_a_user(client: Client, user: User) -> None:
    token = call_command("create_token", "somebody")

    response = client.get(ME, headers={"authorization": f"Bearer {token}"})

    assert response.json()["username"] == "somebody"


def test_names_of_headers_are_plain_texts(client: Client, user: User) -> None:
    """wsgiref, which serves while developing, refuses a member of an enumeration."""
    answered = client.get(ME, headers={"authorization": f"Bearer {tokens.make(user)}"})
    refused = client.get(ME)

    assert (answered.status_code, refused.status_code) == (200, 401)
    assert {type(name) for name in [*answered.headers, *refused.headers]} == {str}


def test_a_token_ends_with_the_password(user: User) -> None:
    token = tokens.make(user)

    user.set_unusable_password()
    user.save()

    assert tokens.read(token) is None


def test_a_token_ends_with_its_user(user: User) -> None:
    token = tokens.make(user)

    user.is_active = False
    user.save()

    assert tokens.read(token) is None


def test_a_token_ends_with_its_time(user: User, settings: Settings) -> None:
    token = tokens.make(user)

    settings.API_TOKEN_AGE = -1

    assert tokens.read(token) is None


def test_a_token_outlives_a_new_secret_key(user: User, settings: Settings) -> None:
    token = tokens.make(user)

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret key"

    assert tokens.read(token) == user


@pytest.mark.parametrize("token", ["", "x", "a:b:c"])
def test_what_was_not_signed_is_no_token(token: str) -> None:
    assert tokens.read(token) is None


def test_only_a_user_gets_a_token(db: None) -> None:
    with pytest.raises(CommandError, match="createsuperuser"):
        call_command("create_token", "nobody")
