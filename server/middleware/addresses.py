"""Addresses as connections and proxies write them."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str) -> Address | None:
    """An address, the short one where it is a short one written long; None for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    short = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return short or address
