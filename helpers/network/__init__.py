"""What lies between client and server, and what crossed it."""

from helpers.network.capture import Capture
from helpers.network.datagram_link import DatagramLink
from helpers.network.decode import decode
from helpers.network.link import Link
from helpers.network.one_port import links_on_one_port
from helpers.network.traffic import Traffic, traffic

__all__ = [
    "Capture",
    "DatagramLink",
    "Link",
    "Traffic",
    "decode",
    "links_on_one_port",
    "traffic",
]
