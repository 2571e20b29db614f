"""What lies between client and server, and what crossed it."""

from helpers.network.capture import Capture
from helpers.network.datagram_link import DatagramLink
from helpers.network.decode import decode
from helpers.network.link import Link

__all__ = ["Capture", "DatagramLink", "Link", "decode"]
