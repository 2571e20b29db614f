"""All uploads of a server: a directory, its limits, and what has expired."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from helpers.servers.upload_file import (
    StoreFull,
    TooLarge,
    UnknownUpload,
    Upload,
    UploadExpired,
)

__all__ = ["UploadStore"]

REMEMBERED_EXPIRED = 1000
TOKEN_BYTES = 16  # 128 bits at random: nobody guesses the address of another's upload
TOKEN_LENGTH = 22  # as secrets.token_urlsafe() writes them


class UploadStore:
    """All uploads, within limits: bytes for one, number, bytes for all together.

    An unfinished upload counts with the length that it declared, so that every
    upload that was let in can be finished. ``lifetime`` is in seconds; unfinished
    uploads older than that are removed. ``clock`` gives seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_size: int,
        max_uploads: int,
        max_total: int,
        lifetime: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self.max_size = max_size
        self.max_uploads = max_uploads
        self.max_total = max_total
        self.lifetime = lifetime
        self.clock = clock
        self._uploads: dict[str, Upload] = {}
        self._expired: OrderedDict[str, None] = OrderedDict()

    def load(self) -> None:
        """Find what an earlier process left here. Files of others stay untouched."""
        self.directory.mkdir(parents=True, exist_ok=True)
        infos = sorted(
            self.directory.glob("*.json"), key=lambda path: path.stat().st_mtime
        )
        for info_path in infos:
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
                upload = Upload.load(info_path, self.max_size)
                self._uploads[upload.id] = upload
        for path in self.directory.glob(f"{'?' * TOKEN_LENGTH}.data"):
            if path.stem not in self._uploads:  # its removal was interrupted
                path.unlink()
        for upload in self.all():
            if upload.name is not None and not upload.complete:
                self.remove(upload)  # plain: all or nothing

    def all(self) -> list[Upload]:
        """A list of its own, for other threads look at it too."""
        return list(self._uploads.values())

    def create(
        self, length: int | None, *, metadata: str = "", name: str | None = None
    ) -> Upload:
        """Raises TooLarge or StoreFull."""
        self.check_size(length or 0)
        self.remove_expired()
        if len(self._uploads) >= self.max_uploads:
            raise StoreFull(f"There are {self.max_uploads} uploads; delete one first.")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        path = self.directory / f"{token}.data"
        expires = self.clock() + self.lifetime
        upload = Upload(
            token, length, expires, metadata, name, max_size=self.max_size, path=path
        )
        self._check_total(upload.ceiling)
        try:
            upload.save()
            path.touch()
        except OSError:  # the disk is full
            self._delete_files(upload)
            raise
        self._uploads[token] = upload
        return upload

    def check_size(self, size: int) -> None:
        if size > self.max_size:
            raise TooLarge(f"An upload may have at most {self.max_size} bytes.")

    def _check_total(self, more: int) -> None:
        if sum(upload.ceiling for upload in self.all()) + more > self.max_total:
            raise StoreFull(f"All uploads together may have {self.max_total} bytes.")

    def find(self, token: str) -> Upload:
        """Raises UnknownUpload or UploadExpired.

        A path is never made from ``token``: it is looked up among those given out.
        """
        self.remove_expired()
        if token in self._expired:
            raise UploadExpired(
                "This upload was not finished in time; start a new one."
            )
        upload = self._uploads.get(token)
        if upload is None or upload.name is not None:
            raise UnknownUpload("There is no such upload, or it was deleted.")
        return upload

    def find_plain(self, name: str) -> Upload | None:
        for upload in reversed(self.all()):
            if upload.name == name and upload.complete:
                return upload
        return None

    def publish(self, upload: Upload) -> bool:
        """A plain upload is whole: it takes its name, maybe from an older one.

        Returns whether there was an older one.
        """
        older = [u for u in self.all() if u.name == upload.name and u is not upload]
        upload.length = upload.offset
        upload.save()
        replaced = [u for u in older if u.complete]
        for one in replaced:
            self.remove(one)
        return bool(replaced)

    def remove(self, upload: Upload) -> None:
        """Delete it and its files; a request that still writes is shut out."""
        upload.writer = None
        self._uploads.pop(upload.id, None)
        self._delete_files(upload)

    def remove_expired(self) -> None:
        now = self.clock()
        for upload in self.all():
            abandoned = not upload.complete and upload.writer is None
            if abandoned and upload.expires <= now:
                self.remove(upload)
                self._expired[upload.id] = None
        while len(self._expired) > REMEMBERED_EXPIRED:
            self._expired.popitem(last=False)

    def _delete_files(self, upload: Upload) -> None:
        for suffix in (".json", ".new", ".data"):
            upload.path.with_suffix(suffix).unlink(missing_ok=True)
