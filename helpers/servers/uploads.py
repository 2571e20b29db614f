"""UploadServer: uploads that survive a cut (tus 1.0.0), and the plain kind beside them.

    POST    /uploads            create: Upload-Length in, Location out
    HEAD    /uploads/TOKEN      how far did we get? Upload-Offset
    PATCH   /uploads/TOKEN      more bytes, from Upload-Offset on
    DELETE  /uploads/TOKEN      give it up, or clear it away
    OPTIONS /uploads            what this server can do

    PUT, POST /plain/NAME       the whole body in one request, or nothing

tus: https://tus.io/protocols/resumable-upload; core, and the extensions creation,
creation-defer-length, creation-with-upload, expiration, checksum, termination.
"""

from __future__ import annotations

import contextlib
import errno
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from helpers.servers import tus
from helpers.servers.body import Body, Pace
from helpers.servers.fields import require_content_type
from helpers.servers.problem import Problem, ProblemServer
from helpers.servers.upload_file import (
    Refused,
    StoreFull,
    TakenOver,
    TooLarge,
    UnknownUpload,
    Upload,
    UploadExpired,
    Writer,
)
from helpers.servers.upload_store import UploadStore

__all__ = ["UploadServer"]

MIB = 1024 * 1024
STATUS_OF: Mapping[type[Refused], int] = {
    UnknownUpload: 404,
    TakenOver: 409,
    UploadExpired: 410,
    TooLarge: 413,
    StoreFull: 507,
}
EXTENSIONS = (
    "creation,creation-defer-length,creation-with-upload,"
    "expiration,checksum,termination"
)

Handler = Callable[[web.Request], Awaitable[web.Response]]


class UploadServer(ProblemServer):
    """A tus 1.0.0 server over a directory, with a plain upload to compare it with.

    ``directory`` outlives the server, and a server started on it again goes on with
    what is there. Without one, uploads lie in a temporary directory that goes when
    the server stops (and stays behind when its process is killed).
    ``lifetime`` is how many seconds an upload may stay unfinished; ``clock`` gives
    seconds since 1970.

    Two requests for one upload: the newer one takes over, HEAD included, so that the
    offset it reports stays true; the older one gets 409 with its next bytes, and what
    it wrote until then counts. Refusing the newer one instead (423) would lock a
    client out of its own upload for as long as its cut connection seems to live.

    Each method of the protocol is a method here, to override one at a time.
    """

    max_size = 64 * MIB
    max_uploads = 1000
    max_total = 512 * MIB
    pace = Pace()

    def __init__(
        self,
        directory: str | Path | None = None,
        *,
        lifetime: float = 24 * 3600.0,
        clock: Callable[[], float] = time.time,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        self.directory = None if directory is None else Path(directory)
        self.lifetime = lifetime
        self.clock = clock
        self.bytes_received = 0
        self._temporary: tempfile.TemporaryDirectory | None = None
        self._store: UploadStore | None = None

    # -- what a notebook asks ------------------------------------------------------

    @property
    def uploads(self) -> list[Upload]:
        """The uploads made by tus, finished or not, oldest first."""
        return [upload for upload in self.store.all() if upload.name is None]

    def received(self, upload_id: str) -> bytes:
        """The bytes that are safe so far of one upload, by its id or its address.

        Raises KeyError when there is no such upload.
        """
        token = upload_id.rpartition("/")[2]
        for upload in self.uploads:
            if upload.id == token:
                return upload.read()
        raise KeyError(f"no upload {token!r}; there are {len(self.uploads)}")

    def received_plain(self, name: str) -> bytes:
        """A plain upload by its name. Raises KeyError when none arrived whole."""
        upload = self.store.find_plain(name)
        if upload is None:
            raise KeyError(f"no plain upload {name!r} arrived whole")
        return upload.read()

    @property
    def store(self) -> UploadStore:
        if self._store is None:
            raise RuntimeError(f"{self.name} does not run: start it, or use `with`")
        return self._store

    # -- life ----------------------------------------------------------------------

    async def open(self, host: str, port: int) -> int:
        self.bytes_received = 0
        directory = self.directory
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="uploads-")
            directory = Path(self._temporary.name)
        self._store = UploadStore(
            directory,
            max_size=self.max_size,
            max_uploads=self.max_uploads,
            max_total=self.max_total,
            lifetime=self.lifetime,
            clock=self.clock,
        )
        self._store.load()
        return await super().open(host, port)

    async def close(self) -> None:
        await super().close()
        store, self._store = self._store, None
        for upload in store.all() if store else ():
            upload.release()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def make_app(self) -> web.Application:
        app = super().make_app()
        app.on_response_prepare.append(_add_tus_headers)
        return app

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.route("*", "/uploads", self._on_collection),
            web.route("*", "/uploads/{id}", self._on_upload),
            web.put("/plain/{name}", self.plain),
            web.post("/plain/{name}", self.plain),
        ]

    async def _on_collection(self, request: web.Request) -> web.Response:
        return await self._dispatch(
            request, {"OPTIONS": self.options, "POST": self.create}
        )

    async def _on_upload(self, request: web.Request) -> web.Response:
        methods = {
            "OPTIONS": self.options,
            "HEAD": self.head,
            "PATCH": self.patch,
            "DELETE": self.delete,
        }
        return await self._dispatch(request, methods)

    async def _dispatch(
        self, request: web.Request, methods: Mapping[str, Handler]
    ) -> web.Response:
        # For clients whose proxies know no PATCH.
        method = request.headers.get("X-HTTP-Method-Override", request.method)
        if method not in methods:
            allow = ", ".join(methods)
            raise Problem(
                405,
                f"Here you can {allow}; not {method[:20]}.",
                headers={"Allow": allow},
            )
        if method != "OPTIONS":
            tus.require_version(request.headers)
        with _as_problems():
            return await methods[method](request)

    # -- the protocol ----------------------------------------------------------------

    async def options(self, request: web.Request) -> web.Response:
        headers = {
            "Tus-Version": tus.VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(self.max_size),
            "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        }
        return web.Response(status=204, headers=headers)

    async def create(self, request: web.Request) -> web.Response:
        length = tus.read_length(request.headers)
        metadata = ",".join(request.headers.getall("Upload-Metadata", []))
        tus.parse_metadata(metadata)
        if request.can_read_body:
            require_content_type(request, tus.CHUNK_TYPE)
        upload = self.store.create(length, metadata=metadata)
        if request.can_read_body:  # creation-with-upload
            try:
                await self._append(request, upload)
            except BaseException:
                self.store.remove(upload)  # its client never learns where it is
                raise
        headers = self._progress(upload) | {"Location": f"/uploads/{upload.id}"}
        return web.Response(status=201, headers=headers)

    async def head(self, request: web.Request) -> web.Response:
        upload = self._find(request)
        upload.release()
        headers = self._progress(upload)
        if upload.length is None:
            headers["Upload-Defer-Length"] = "1"
        else:
            headers["Upload-Length"] = str(upload.length)
        if upload.metadata:
            headers["Upload-Metadata"] = upload.metadata
        return web.Response(headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        upload = self._find(request)
        require_content_type(request, tus.CHUNK_TYPE)
        offset = tus.read_number(request.headers, "Upload-Offset")
        if offset != upload.offset:
            raise Problem(
                409,
                f"The upload is at offset {upload.offset}, your bytes start at "
                f"{offset}. Ask with HEAD, and go on from there.",
                headers={"Upload-Offset": str(upload.offset)},
            )
        await self._append(request, upload)
        return web.Response(status=204, headers=self._progress(upload))

    async def delete(self, request: web.Request) -> web.Response:
        self.store.remove(self._find(request))
        return web.Response(status=204)

    def _find(self, request: web.Request) -> Upload:
        return self.store.find(request.match_info["id"])

    async def _append(self, request: web.Request, upload: Upload) -> None:
        """Write the body behind what is there; with a checksum, all of it or nothing.

        Nothing here awaits before the first write, so no other request comes between
        the check of the offset and the taking over.
        """
        header = request.headers.get("Upload-Checksum")
        checksum = None if header is None else tus.Checksum(header)
        length = self._new_length(request, upload)
        room = (upload.ceiling if length is None else length) - upload.offset
        if (request.content_length or 0) > room:  # said before the bytes come
            raise TooLarge(f"This upload has room for {room} bytes more.")
        body = Body(request, self.pace)
        provisional = checksum is not None
        with Writer(upload, length=length, provisional=provisional) as writer:
            async for chunk in body:
                self.bytes_received += len(chunk)
                writer.write(chunk)
                if checksum is not None:
                    checksum.update(chunk)
            if checksum is not None:
                checksum.verify()
            writer.commit()

    def _new_length(self, request: web.Request, upload: Upload) -> int | None:
        """An upload of deferred length learns it with a PATCH, once."""
        if "Upload-Length" not in request.headers:
            return None
        length = tus.read_number(request.headers, "Upload-Length")
        if length < upload.offset or upload.length not in (None, length):
            raise Problem(
                400,
                f"Upload-Length can not be {length}: the upload has {upload.offset} "
                f"of {upload.length or 'unknown'} bytes.",
            )
        self.store.check_size(length)
        return length

    def _progress(self, upload: Upload) -> dict[str, str]:
        headers = {"Upload-Offset": str(upload.offset)}
        if not upload.complete:
            headers["Upload-Expires"] = tus.http_date(upload.expires)
        return headers

    # -- the plain upload ------------------------------------------------------------

    async def plain(self, request: web.Request) -> web.Response:
        """The whole body in one request: 201, or 204 when it replaced another."""
        name = request.match_info["name"]
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", name):
            raise Problem(404, "A name has letters, digits, '.', '_' and '-' only.")
        with _as_problems():
            upload = self.store.create(request.content_length, name=name)
            try:
                await self._append(request, upload)
            except BaseException:
                self.store.remove(upload)
                raise
            replaced = self.store.publish(upload)
        location = {"Location": f"/plain/{name}"}
        return web.Response(status=204 if replaced else 201, headers=location)


@contextlib.contextmanager
def _as_problems() -> Iterator[None]:
    """What the store refuses, and a disk that is full, in the words of HTTP."""
    try:
        yield
    except Refused as error:
        raise Problem(STATUS_OF[type(error)], str(error)) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Problem(507, "The disk is full.") from None


async def _add_tus_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer names the version, and none may come from a cache."""
    if request.path.startswith("/uploads"):
        response.headers["Tus-Resumable"] = tus.VERSION
        response.headers["Cache-Control"] = "no-store"
