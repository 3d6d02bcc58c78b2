"""A member that knows nothing of the others but a port: it calls to all of its network in every way there is, and prints who is heard.

Usage: members.py NAME PORT
"""

import fcntl
import selectors
import socket
import struct
import sys
import time

DEVICE = "eth0"
GROUP4, GROUP6, ALL_NODES = "239.7.7.7", "ff12::777", "ff02::1"
GET_BROADCAST_ADDRESS = 0x8919
EVERY = 0.2


def broadcast_address():
    """The one of the device, as any program asks for it: ioctl(SIOCGIFBRDADDR)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking, GET_BROADCAST_ADDRESS, struct.pack("256s", DEVICE.encode()))
    return socket.inet_ntoa(answer[20:24])


def listening(family, port):
    ear = socket.socket(family, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET:
        everywhere = socket.inet_aton("0.0.0.0")
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP4) + everywhere)
        ear.bind(("0.0.0.0", port))
    else:
        group = socket.inet_pton(family, GROUP6) + struct.pack("@I", socket.if_nametoindex(DEVICE))
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
        ear.bind(("::", port))
    return ear


def call(name, ear4, ear6, ways):
    for way, (ear, address) in ways(ear4, ear6).items():
        try:
            ear.sendto(f"{name} {way}".encode(), address)
        except OSError as error:  # of a cable that is out
            print(f"cannot call by {way}: {error}", flush=True)


def main():
    name, port = sys.argv[1], int(sys.argv[2])
    index, directed = socket.if_nametoindex(DEVICE), broadcast_address()

    def ways(ear4, ear6):
        return {
            "multicast": (ear4, (GROUP4, port)),
            "directed-broadcast": (ear4, (directed, port)),
            "limited-broadcast": (ear4, ("255.255.255.255", port)),
            "multicast-ip6": (ear6, (GROUP6, port, 0, index)),
            "all-nodes-ip6": (ear6, (ALL_NODES, port, 0, index)),
        }

    ears = [listening(socket.AF_INET, port), listening(socket.AF_INET6, port)]
    looking = selectors.DefaultSelector()
    for ear in ears:
        looking.register(ear, selectors.EVENT_READ)
    print("listening", flush=True)
    call_next = time.monotonic()
    while True:
        for key, _ in looking.select(max(0, call_next - time.monotonic())):
            sender, way = key.fileobj.recv(100).decode().split()
            if sender != name:
                print(f"heard {sender} by {way}", flush=True)
        if time.monotonic() >= call_next:
            call(name, *ears, ways)
            call_next += EVERY


main()
