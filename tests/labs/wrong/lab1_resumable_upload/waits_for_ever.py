"""It leaves the client without a time-out, as it came."""

from labs.solutions.lab1_resumable_upload import upload as right_upload

CAUGHT_BY = "silence"
SAYS = "no time-out"


class Patient:
    """The client, deaf to every time-out that it is asked for."""

    def __init__(self, client):
        self.client = client

    async def post(self, url, **options):
        return await self.client.post(url, **options | {"timeout": None})

    async def head(self, url, **options):
        return await self.client.head(url, **options | {"timeout": None})

    async def patch(self, url, **options):
        return await self.client.patch(url, **options | {"timeout": None})


async def upload(url, data, client):
    return await right_upload(url, data, Patient(client))
