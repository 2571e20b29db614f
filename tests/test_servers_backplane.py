"""helpers.servers.backplane: what is the in-kernel one's own.

What it has in common with every backplane is in test_backplane_contract.py.
"""

import asyncio
import pickle

import pytest

from helpers.servers.backplane import InKernelBackplane


def test_a_subscription_ends_with_its_context():
    """Nothing is kept for one who is gone."""

    async def run() -> None:
        backplane = InKernelBackplane()
        async with backplane.subscribe("lobby"):
            assert backplane._subscriptions
        assert not backplane._subscriptions

    asyncio.run(run())


def test_it_does_not_go_to_another_process():
    """The error says why, and what to use."""
    with pytest.raises(TypeError, match="Valkey"):
        pickle.dumps(InKernelBackplane())
