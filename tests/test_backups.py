"""Backups of a real PostgreSQL: made, kept, encrypted, restored, and loud when they fail."""

import json
import os
import re
import secrets
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.conftest import Projects
from tests.containers import docker, require_docker, unique
from tests.documents import commands, section
from tests.project import PRODUCTION, Project
from tests.services import S3, Postgres, find, free_port, running, until
from tools.render import write

pytestmark = pytest.mark.slow

BUCKET = "backups"


class Backups:
    """A service with a database that holds some rows, and a folder for its backups."""

    def __init__(self, project: Project, postgres: Postgres, folder: Path, url: str) -> None:
        self.project = project
        self.postgres = postgres
        self.folder = folder
        tools = os.pathsep.join([*postgres.folders, os.environ["PATH"]])
        self.variables = {
            **PRODUCTION,
            "PATH": f"{project.environment({})['PATH']}{os.pathsep}{tools}",
            "BACKUP_DIRECTORY": str(folder),
            "DATABASE_URL": url,
        }

    def manage(self, *arguments: str, check: bool = True, **variables: str) -> Any:
        """Run a management command."""
        return self.project.manage(
            *arguments, variables={**self.variables, **variables}, check=check
        )

    @property
    def database(self) -> str:
        """Return the name of the database."""
        return self.variables["DATABASE_URL"].rpartition("/")[2]

    def sql(self, statement: str, database: str = "") -> None:
        """Run a statement."""
        with self.postgres.connect(database or self.database) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def content(self, database: str = "") -> dict[str, list[Any]]:
        """Return every row of every table."""
        name = database or self.database
        tables = self.postgres.query(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'",
            database=name,
        )
        assert len(tables) > 10
        return {
            table: sorted(self.postgres.query(f"SELECT t::text FROM {table} t", database=name))
            for (table,) in tables
        }

    def files(self) -> list[str]:
        """Return the names of what is in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture(scope="module")
def model(
    projects: Projects, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Backups:
    """Return a service whose database others are copied from."""
    find("pg_dump", "postgresql-client", folders=postgres.folders)
    project = projects(use_dbbackup=True, use_redis=False)
    made = Backups(project, postgres, tmp_path_factory.mktemp("model"), postgres.database())
    made.manage("migrate", "--verbosity=0")
    made.sql('CREATE TABLE "Odd name\'s" AS SELECT generate_series(1, 1000) AS number')
    return made


@pytest.fixture
def backups(model: Backups, tmp_path: Path) -> Backups:
    """Return a service whose database can be backed up."""
    name = f"backed_up_{secrets.token_hex(4)}"
    model.sql(f"CREATE DATABASE {name} TEMPLATE {model.database}", "postgres")
    folder = tmp_path / "backups"
    folder.mkdir()
    return Backups(model.project, model.postgres, folder, model.postgres.url(name))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Run a server that speaks S3, and return the variables that name a bucket there."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with running(S3) as server:
        address = server.url()
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield {**keys, "BACKUP_S3_BUCKET": BUCKET, "BACKUP_S3_ENDPOINT_URL": address}


@pytest.fixture
def key(tmp_path: Path) -> dict[str, str]:
    """Return the variables that hold both halves of a fresh OpenPGP key."""
    home = tmp_path / "keys"
    home.mkdir(mode=0o700)

    def gpg(*arguments: str) -> str:
        command = [find("gpg", "gnupg"), "--homedir", str(home), "--batch", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    words = ("owner@example.com", "default", "default", "never")
    gpg("--passphrase", "", "--quick-generate-key", *words)
    return {
        "BACKUP_PUBLIC_KEY": gpg("--armor", "--export"),
        "BACKUP_PRIVATE_KEY": gpg("--armor", "--export-secret-keys"),
    }


def errors(output: str) -> list[str]:
    """Return the events that were logged as errors."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line["level"] == "error"]


def test_a_backup_is_restored_with_every_row(backups: Backups) -> None:
    """The newest backup goes into a new database, which then equals the old one (D8)."""
    backups.manage("backup")
    backups.sql("INSERT INTO users_user SELECT * FROM users_user WHERE false")
    before = backups.content()
    backups.sql('DROP TABLE "Odd name\'s"')

    done = backups.manage("restore", "--into", "restored_here")

    assert backups.content("restored_here") == before
    assert re.search(r"^ +1000  Odd name's$", done.stdout, re.MULTILINE)
    assert backups.manage("restore", "--into", "restored_here", check=False).returncode == 1
    assert oct((backups.folder / backups.files()[0]).stat().st_mode & 0o777) == "0o600"


def test_an_emergency_needs_only_an_empty_database(backups: Backups) -> None:
    """A backup goes into whatever empty database is named, and into no other (D8)."""
    backups.manage("backup")
    empty = backups.postgres.database()

    done = backups.manage("restore", DATABASE_URL=empty)
    again = backups.manage("restore", DATABASE_URL=empty, check=False)

    assert "all is there" in done.stdout
    assert backups.content(empty.rpartition("/")[2]) == backups.content()
    assert again.returncode == 1
    assert "is not empty" in again.stdout


def test_a_restore_that_lacks_rows_fails(backups: Backups) -> None:
    """Each table is compared with what it held in the moment of the dump (D8)."""
    backups.manage("backup")
    (known,) = backups.folder.glob("*.metadata")
    rows = json.loads(known.read_text())
    rows["rows"]["users_user"] += 1
    known.write_text(json.dumps(rows))

    done = backups.manage("restore", "--into", "lacking", check=False)

    assert done.returncode == 1
    assert re.search(r"lacking differs from \S+ in users_user\.", done.stdout)


def test_rows_are_counted_in_the_snapshot_that_is_dumped(backups: Backups) -> None:
    """What is written while a backup is made neither breaks nor falsifies it (D8)."""
    backups.sql("CREATE TABLE busy AS SELECT generate_series(1, 200000) AS number")
    write = "DO $$ BEGIN LOOP INSERT INTO busy VALUES (1); COMMIT; END LOOP; END $$"
    writer = subprocess.Popen(
        ["psql", "--quiet", "--dbname", backups.variables["DATABASE_URL"], "--command", write],
        env={"PATH": backups.variables["PATH"]},
        stderr=subprocess.DEVNULL,
    )

    backups.manage("backup")
    assert writer.poll() is None
    backups.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO $$%'")
    writer.wait(20)
    done = backups.manage("restore", "--into", "snapshot")

    assert "all is there" in done.stdout


def test_an_encrypted_backup_opens_with_the_private_key_only(
    backups: Backups, key: dict[str, str]
) -> None:
    """With a public key no byte of the dump can be read, and its other half restores it (D8)."""
    public = {"BACKUP_PUBLIC_KEY": key["BACKUP_PUBLIC_KEY"]}
    backups.manage("backup", **public)
    name, _ = backups.files()

    without = backups.manage("restore", "--into", "encrypted", check=False)
    done = backups.manage("restore", "--into", "encrypted_2", **key)

    assert name.endswith(".gpg")
    assert b"PGDMP" not in (backups.folder / name).read_bytes()
    assert without.returncode == 1
    assert "set BACKUP_PRIVATE_KEY" in without.stdout
    assert "all is there" in done.stdout
    assert backups.content("encrypted_2") == backups.content()


def test_a_bucket_keeps_and_gives_back(backups: Backups, bucket: dict[str, str]) -> None:
    """Backups go to storage that speaks S3, and come back from there (D8)."""
    backups.manage("backup", **bucket)

    done = backups.manage("restore", "--into", "from_bucket", **bucket)

    assert "all is there" in done.stdout
    assert backups.files() == []
    assert backups.content("from_bucket") == backups.content()


def test_environments_share_a_bucket_but_no_backup(
    backups: Backups, bucket: dict[str, str]
) -> None:
    """What one environment backs up, another neither restores nor removes (D8)."""
    backups.manage("backup", **bucket)
    staging = {**bucket, "ENVIRONMENT": "staging", "BACKUP_KEEP": "1"}

    missing = backups.manage("backup", "--check", "1", check=False, **staging)
    backups.manage("backup", **staging)
    kept = backups.manage("backup", "--check", "1", check=False, **bucket)

    assert missing.returncode == 1
    assert "There is no backup" in missing.stdout
    assert kept.returncode == 0, kept.stdout


def test_old_backups_are_removed(backups: Backups) -> None:
    """As many are kept as are asked for, the newest ones, with what is known of them (D8)."""
    for second in range(4):
        name = f"example-service-2020-01-01-00000{second}.psql.bin"
        for path in (backups.folder / name, backups.folder / f"{name}.metadata"):
            path.write_text("{}")
            os.utime(path, (second, second))

    backups.manage("backup", BACKUP_KEEP="2")

    kept = [name for name in backups.files() if not name.endswith(".metadata")]
    assert len(kept) == 2
    assert kept[0] == "example-service-2020-01-01-000003.psql.bin"
    assert sorted(backups.files()) == sorted([*kept, *(f"{name}.metadata" for name in kept)])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/it"}, "refused"),
        ({"PATH": "python"}, "pg_dump"),
        ({"BACKUP_DIRECTORY": "/dev/full"}, "/dev/full"),
        ({"BACKUP_PUBLIC_KEY": "no key"}, "GnuPG failed: "),
        ({"BACKUP_S3_BUCKET": "none"}, "Unable to locate credentials"),
    ],
    ids=["database", "tool", "folder", "key", "bucket"],
)
@pytest.mark.parametrize("options", [(), ("--every=24",)], ids=["once", "again"])
def test_a_backup_that_fails_is_loud(
    backups: Backups, wrong: dict[str, str], reason: str, options: tuple[str, ...]
) -> None:
    """Whatever is wrong ends the command with status 1 and an error in the log (D8)."""
    if "PATH" in wrong:
        wrong = {"PATH": backups.project.environment({})["PATH"].partition(os.pathsep)[0]}

    done = backups.manage("backup", *options, check=False, **wrong)

    assert done.returncode == 1
    assert any(event.startswith("The backup failed; ") for event in errors(done.stdout))
    assert reason in done.stdout
    assert backups.postgres.password not in done.stdout
    assert backups.files() == []


def test_a_full_disk_leaves_no_half_backup(backups: Backups) -> None:
    """A backup for which there is no room is an error, and is not the newest one (D8)."""
    if os.geteuid() != 0:
        pytest.skip("Only root may mount a small disk")
    backups.sql("CREATE TABLE noise AS SELECT md5(i::text) FROM generate_series(1, 200000) i")
    small = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(backups.folder)]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("This machine mounts no disk")
    try:
        done = backups.manage("backup", check=False)
        files = backups.files()
    finally:
        subprocess.run(["umount", str(backups.folder)], check=True)

    assert done.returncode == 1
    assert "The backup failed; 0 MB are left" in done.stdout
    assert files == []


def test_the_schedule_makes_one_when_it_is_due(backups: Backups) -> None:
    """It backs up at once if there is no recent backup, waits otherwise, and tells the age (D8)."""
    missing = backups.manage("backup", "--check=25", check=False)
    command = ["python", "manage.py", "backup", "--every=24"]
    schedule = backups.project.start(backups.variables, command=command)
    until(lambda: len(backups.files()) == 2, 60, "A backup")
    schedule.stop()
    schedule = backups.project.start(backups.variables, command=command)
    # It has made the first one in less time.
    time.sleep(10)
    assert schedule.running
    assert len(backups.files()) == 2
    schedule.stop()
    recent = backups.manage("backup", "--check=25", check=False)
    for path in backups.folder.iterdir():
        os.utime(path, (0, 0))
    old = backups.manage("backup", "--check=25", check=False)

    assert (missing.returncode, recent.returncode, old.returncode) == (1, 0, 1)
    assert "There is no backup" in missing.stdout
    assert "hours old" in old.stdout
    assert len(backups.files()) == 2


@pytest.mark.timeout(1800)
def test_containers_back_up_and_restore(tmp_path: Path) -> None:
    """Compose makes a backup by itself, and what README says restores it (D8)."""
    require_docker()
    slug = unique("backup").replace("-", "_")[:36].rstrip("_")
    name = slug.replace("_", "-")
    write({"use_dbbackup": True, "project_slug": slug, "use_redis": False}, tmp_path)
    variables = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PORT": str(free_port())}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    try:
        run("docker", "compose", "up", "--wait")
        states = run("docker", "compose", "ps", "--format", "{{.Service}} {{.Health}}")
        run("make", "backup")
        restored = run("make", "restore")
        run("make", "down")
        run("docker", "volume", "rm", f"{name}_postgres")
        typed = commands(section((tmp_path / "README.md").read_text(), "Backups"))
        emergency = [run(*shlex.split(line)) for line in typed if line.startswith("docker ")]
    finally:
        run("docker", "compose", "down", "--volumes", "--rmi=local", "--remove-orphans")
        docker("image", "rm", "--force", name, f"{name}-backup")

    assert "backup healthy" in states
    assert "all is there" in restored
    assert "all is there" in emergency[-1]
