"""Where static files are when a bucket holds them."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from storages.backends.s3 import S3ManifestStaticStorage

from config import process


class StaticStorage(S3ManifestStaticStorage):
    """A bucket, whose files a server calls by the names that its image was built with.

    So a server does not depend on which version has filled the bucket last, or whether one has.
    """

    def __init__(self, **options: Any) -> None:
        root = Path(settings.STATIC_ROOT)
        if process.role == "server" and (root / self.manifest_name).exists():
            options["manifest_storage"] = FileSystemStorage(root)
        super().__init__(**options)
