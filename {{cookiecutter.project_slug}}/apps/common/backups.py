"""Backups of the database, with django-dbbackup.

Beside each backup stands what is known of it, written last: without that, a backup is not
complete. It says how many rows each table had, in the same snapshot that was dumped.
"""

import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dbbackup.db.base import get_connector
from dbbackup.storage import get_storage
from dbbackup.utils import create_spooled_temporary_file
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import connection, transaction
from django.utils import timezone
from psycopg.sql import SQL, Identifier

logger = logging.getLogger(__name__)
# It would print each command that it runs.
logging.getLogger("dbbackup.command").setLevel(logging.INFO)

type Rows = dict[str, int]


class BackupError(Exception):
    """Says in one sentence what is wrong."""


def create() -> str:
    """Back up the database, remove what is too old, and return the name of the backup."""
    if connection.vendor != "postgresql":
        raise BackupError("Only PostgreSQL is backed up: see DATABASE_URL.")
    connector = get_connector()
    storage = get_storage()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # It does nothing while pg_dump runs.
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_export_snapshot()")
        connector.dump_suffix = f"--snapshot={cursor.fetchone()[0]}"
        rows = count()
        dump = connector.create_dump()
    name = connector.generate_filename()
    if settings.BACKUP_PUBLIC_KEY:
        dump, name = encrypt(dump), f"{name}.gpg"
    known = {"engine": connection.settings_dict["ENGINE"], "rows": rows}
    try:
        storage.write_file(File(dump), name)
        storage.write_file(ContentFile(json.dumps(known).encode()), f"{name}.metadata")
    except Exception:
        with suppress(Exception):
            storage.delete_file(name)
        raise
    storage.clean_old_backups(content_type="db", keep_number=settings.BACKUP_KEEP)
    logger.info("Backed up %d rows of %d tables as %s", sum(rows.values()), len(rows), name)
    return str(name)


def newest() -> str:
    """Return the name of the newest complete backup."""
    storage = get_storage()
    files = set(storage.list_directory())
    names = storage.list_backups(content_type="db")
    complete = [name for name in names if f"{name}.metadata" in files]
    if not complete:
        raise BackupError(f"There is no backup in {place()}.")
    return str(max(complete, key=storage.storage.get_modified_time))


def age() -> timedelta:
    """Return how old the newest backup is."""
    modified: datetime = get_storage().storage.get_modified_time(newest())
    return timezone.now() - modified


def restore(name: str) -> Rows:
    """Restore a backup into the database, which must be empty, and compare their rows."""
    database = connection.settings_dict["NAME"]
    if connection.introspection.table_names():
        raise BackupError(f"The database {database} is not empty: restore into another one.")
    storage = get_storage()
    known = json.load(storage.read_file(f"{name}.metadata"))
    dump = create_spooled_temporary_file(fileobj=storage.read_file(name))
    dump.seek(0)
    connection.close()
    connector = get_connector()
    connector.drop = connector.if_exists = False
    connector.pg_options = "--exit-on-error --no-owner --no-privileges"
    connector.restore_dump(decrypt(dump) if name.endswith(".gpg") else dump)
    rows = count()
    if different := sorted(set(rows.items()) ^ set(known["rows"].items())):
        tables = ", ".join(sorted({table for table, _ in different}))
        raise BackupError(f"The database {database} differs from {name} in {tables}.")
    logger.info(
        "Restored %d rows of %d tables from %s into %s, as many as there were",
        sum(rows.values()),
        len(rows),
        name,
        database,
    )
    return rows


def use_new_database(name: str) -> None:
    """Create a database on the same server, and go on with it."""
    with connection.cursor() as cursor:
        cursor.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    connection.close()
    connection.settings_dict["NAME"] = name


def count() -> Rows:
    """Return the number of rows in each table."""
    rows: Rows = {}
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table)))
            rows[table] = cursor.fetchone()[0]
    return rows


def place() -> str:
    """Return where the backups are kept."""
    location = settings.STORAGES["dbbackup"]["OPTIONS"]["location"]
    bucket = settings.BACKUP_S3_BUCKET
    return f"{location} of the bucket {bucket}" if bucket else str(location)


def room() -> str:
    """Return how much room is left for a dump: a full disk swallows the reason, too."""
    try:
        free = shutil.disk_usage(settings.BACKUP_DIRECTORY).free
    except OSError as error:
        return f"{settings.BACKUP_DIRECTORY}: {error.strerror}"
    return f"{free // 1_000_000} MB are left in {settings.BACKUP_DIRECTORY}"


def encrypt(dump: Any) -> Any:
    """Return a dump that only the owner of the private key can read."""
    with gnupg(settings.BACKUP_PUBLIC_KEY) as (gpg, key):
        options = ("--trust-model", "always", "--recipient-file", str(key), "--encrypt")
        return gpg(*options, content=dump)


def decrypt(dump: Any) -> Any:
    """Return a dump as it was before it was encrypted."""
    if not settings.BACKUP_PRIVATE_KEY:
        raise BackupError("The backup is encrypted: set BACKUP_PRIVATE_KEY to restore it.")
    with gnupg(settings.BACKUP_PRIVATE_KEY) as (gpg, key):
        gpg("--import", str(key))
        return gpg("--decrypt", content=dump)


@contextmanager
def gnupg(text: str) -> Iterator[tuple[Callable[..., Any], Path]]:
    """Yield a function that runs GnuPG, and a file with a key; both are for the moment."""
    with TemporaryDirectory() as home:
        key = Path(home) / "key.asc"
        key.write_text(f"{text}\n")

        def gpg(*arguments: str, content: Any = None) -> Any:
            output = create_spooled_temporary_file()
            done = subprocess.run(  # noqa: S603 - nothing but options, and files of our own
                ["gpg", "--batch", "--quiet", "--homedir", home, *arguments],  # noqa: S607 - that of the image
                stdin=content or subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                check=False,
                text=True,
            )
            if done.returncode:
                raise BackupError(f"GnuPG failed: {done.stderr.strip()}")
            output.seek(0)
            return output

        yield gpg, key
