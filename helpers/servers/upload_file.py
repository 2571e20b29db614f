"""One upload on disk: two files, and the one request that may append to them.

    TOKEN.data   the bytes that arrived
    TOKEN.json   the length, the metadata, when it expires

The offset is written nowhere: it is the size of the data file, so it can not
contradict the bytes. A process that is killed loses nothing that it had written,
for written bytes are the operating system's. A machine that loses its power may;
a server that promises more calls os.fsync() before it acknowledges, and pays for it.

The exceptions, also those of upload_store.py:

    Refused
     +-- UnknownUpload, UploadExpired
     +-- TooLarge       more than one upload may have, or than it declared
     +-- StoreFull      more than all uploads together may have
     +-- TakenOver      a newer request holds this upload now
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = [
    "Refused",
    "StoreFull",
    "TakenOver",
    "TooLarge",
    "UnknownUpload",
    "Upload",
    "UploadExpired",
    "Writer",
]


class Refused(Exception):
    """The store does not do what was asked."""


class UnknownUpload(Refused): ...


class UploadExpired(Refused): ...


class TooLarge(Refused): ...


class StoreFull(Refused): ...


class TakenOver(Refused): ...


@dataclass(eq=False)
class Upload:
    """One upload, finished or not.

    ``offset`` is how many bytes are safe, ``length`` how many it will have (None
    while that is deferred), ``expires`` seconds since 1970, ``metadata`` the header
    as it came, ``name`` set for a plain upload only.
    """

    id: str
    length: int | None
    expires: float
    metadata: str = ""
    name: str | None = None
    offset: int = 0
    max_size: int = field(default=0, repr=False)
    path: Path = field(default=Path(), repr=False)
    writer: Writer | None = field(default=None, repr=False)
    saved: bool = field(default=True, repr=False)

    @property
    def complete(self) -> bool:
        return self.offset == self.length

    @property
    def ceiling(self) -> int:
        """How many bytes it may have: what it declared, or else what any may."""
        return self.max_size if self.length is None else self.length

    def read(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(self.offset)

    def save(self) -> None:
        """Write what the data file does not tell, in one step that can not tear.

        ``unproven_after``: bytes beyond it wait for their checksum. Should the
        process die meanwhile, they are cut off when it comes back.
        """
        provisional = self.writer is not None and self.writer.provisional
        info = {
            "length": self.length,
            "expires": self.expires,
            "metadata": self.metadata,
            "name": self.name,
            "unproven_after": self.writer.start if provisional else None,
        }
        self.saved = False  # until it is: the disk may be full
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(info))
        os.replace(new, self.path.with_suffix(".json"))
        self.saved = True

    @classmethod
    def load(cls, info_path: Path, max_size: int) -> Self:
        """Raises ValueError, KeyError or TypeError for what is not an info file."""
        info = json.loads(info_path.read_text())
        unproven_after = info.pop("unproven_after")
        path = info_path.with_suffix(".data")
        upload = cls(info_path.stem, path=path, max_size=max_size, **info)
        path.touch()  # create() died between its two files
        if unproven_after is not None:
            os.truncate(path, unproven_after)
            upload.save()
        upload.offset = path.stat().st_size
        return upload

    def release(self) -> None:
        """Shut out the request that writes now, if any; it gets TakenOver."""
        if self.writer is not None:
            self.writer.end()


class Writer:
    """One request that appends to an upload. The newest writer wins.

    Opening a writer takes the upload over from the one before, which gets
    :class:`TakenOver` at its next write. So there is never more than one, and a
    connection that hangs locks nobody out.

    ``length`` is set when an upload of deferred length learns it now. With
    ``provisional`` the offset moves only at :meth:`commit`; without it moves
    with each write, and what was written stays when the request breaks off.

    A write blocks the event loop, but only while at most 512 KiB are copied to the
    page cache: a fraction of a millisecond, of which a thread would save little.
    """

    def __init__(
        self, upload: Upload, *, length: int | None = None, provisional: bool = False
    ) -> None:
        self.upload = upload
        self.provisional = provisional
        self._length = length
        self._committed = False

    def __enter__(self) -> Self:
        upload = self.upload
        upload.release()
        self.position = self.start = upload.offset
        self._length_before = upload.length
        # Unbuffered: what write() returns is with the operating system.
        self._file = upload.path.open("r+b", buffering=0)
        self._file.seek(self.start)
        upload.writer = self
        if self._length is not None:
            upload.length = self._length
        changed = self.provisional or upload.length != self._length_before
        if changed or not upload.saved:
            try:
                upload.save()
            except OSError:  # then __exit__ is not called
                upload.length, upload.writer = self._length_before, None
                self._file.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            if self.upload.writer is self:
                self.end()

    def end(self) -> None:
        """No more writes. What was provisional and not committed is undone."""
        if self.provisional and not self._committed:
            self.rollback()
        self.upload.writer = None
        if self.provisional:
            self.upload.save()

    def write(self, chunk: bytes) -> None:
        """Raises TakenOver, TooLarge when it leads beyond the length, or OSError."""
        self._check_turn()
        ceiling = self.upload.ceiling
        if self.position + len(chunk) > ceiling:
            self.rollback()
            raise TooLarge(
                f"This upload has at most {ceiling} bytes; nothing was kept."
            )
        rest = memoryview(chunk)
        while rest:  # a disk that fills up takes a part
            written = self._file.write(rest)
            rest = rest[written:]
            self.position += written
            if not self.provisional:
                self.upload.offset = self.position

    def commit(self) -> None:
        """What was written is what was meant. Raises TakenOver."""
        self._check_turn()
        self._committed = True
        self.upload.offset = self.position

    def _check_turn(self) -> None:
        if self.upload.writer is not self:
            raise TakenOver("Another request took this upload over, or deleted it.")

    def rollback(self) -> None:
        """As if the request had never been."""
        upload = self.upload
        self._file.truncate(self.start)
        self._file.seek(self.start)
        self.position = upload.offset = self.start
        if upload.length != self._length_before:
            upload.length = self._length_before
            upload.save()
