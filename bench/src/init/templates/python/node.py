"""A node of a small cluster: of the nodes that are alive, the one with the smallest name leads.

    python3 node.py NAME OWN_ADDRESS NAME=ADDRESS,NAME=ADDRESS,...

Each node tells the others every 100 ms over UDP that it lives, and takes one that was silent for 500 ms for dead.
"""

import signal
import socket
import sys
import time

INTERVAL, SILENCE = 0.1, 0.5


def log(text):
    # flush: what a killed process has not written yet is lost.
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main(me, own, peers):
    others = {name: address(where) for name, where in (peer.split("=") for peer in peers.split(",")) if name != me}
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address(own))
    sock.settimeout(INTERVAL / 4)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log(f"{me} listening on {own}")

    began, next_beat, heard, leader = time.monotonic(), 0.0, {}, None
    while True:
        now = time.monotonic()
        if now >= next_beat:
            next_beat = now + INTERVAL
            for where in others.values():
                sock.sendto(me.encode(), where)
        try:
            name = sock.recv(64).decode("ascii", "replace")
            if name in others:
                heard[name] = time.monotonic()
        except (TimeoutError, ConnectionRefusedError):
            pass
        if now - began < SILENCE:
            continue  # who else is there?
        smallest = min([me] + [name for name, at in heard.items() if now - at < SILENCE])
        if smallest != leader:
            leader = smallest
            log(f"{me} leads" if leader == me else f"{me} follows {leader}")


if __name__ == "__main__":
    main(*sys.argv[1:])
