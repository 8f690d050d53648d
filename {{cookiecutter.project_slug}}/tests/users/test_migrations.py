"""Migrations run forward and back, and none is missing."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True)


@pytest.mark.django_db(transaction=True)
def test_groups_come_and_go() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == {"Editors", "Viewers"}

    call_command("migrate", "users", "0001", verbosity=0)

    assert not Group.objects.exists()

    call_command("migrate", "users", verbosity=0)

    assert Group.objects.count() == 2
