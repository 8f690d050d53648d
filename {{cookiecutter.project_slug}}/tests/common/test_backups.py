"""A backup that fails is loud, and so is one that is missing."""

import logging
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.common import backups


@pytest.fixture(autouse=True)
def _an_empty_folder(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BACKUP_DIRECTORY = str(tmp_path)
    monkeypatch.setattr("dbbackup.settings.STORAGE_OPTIONS", {"location": str(tmp_path)})


@pytest.mark.django_db
def test_a_backup_that_fails_is_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit) as stopped:
        call_command("backup")

    assert stopped.value.code == 1
    (record,) = (it for it in caplog.records if it.message.startswith("The backup failed"))
    assert record.levelno == logging.ERROR


def test_without_a_backup_the_check_fails() -> None:
    with pytest.raises(CommandError, match="There is no backup"):
        call_command("backup", check=25)


def test_without_a_backup_nothing_is_restored() -> None:
    with pytest.raises(CommandError, match="There is no backup"):
        call_command("restore")


@pytest.mark.django_db
def test_a_database_that_is_not_empty_is_left_alone() -> None:
    with pytest.raises(backups.BackupError, match="is not empty"):
        backups.restore("any")
