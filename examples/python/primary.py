"""A small cluster with a log format of its own: the lowest id that is alive is the primary, the others are its backups.

    python3 primary.py ID OWN_ADDRESS ID=ADDRESS,ID=ADDRESS,...

Each process tells the others every 100 ms over UDP that it lives, and takes one that was silent for 600 ms for dead.
"""

import signal
import socket
import sys
import time

INTERVAL, SILENCE = 0.1, 0.6


def log(me, text):
    # flush: a killed process loses what it has not written yet.
    print(f"{time.strftime('%H:%M:%S')} [{me}] {text}", flush=True)


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main(me, own, peers):
    others = {name: address(where) for name, where in (peer.split("=") for peer in peers.split(",")) if name != me}
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address(own))
    sock.settimeout(INTERVAL / 2)
    running = True

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    log(me, f"up, listening on {own}")
    heard, primary, next_beat = {}, None, 0.0
    last = began = time.monotonic()
    while running:
        now = time.monotonic()
        if now - last > SILENCE:
            # This process itself stood still: what it knows is old, so it serves nobody until it has listened again.
            heard, began = {}, now
            if primary is not None:
                log(me, "was frozen: standing by")
            primary = None
        last = now
        if now >= next_beat:
            next_beat = now + INTERVAL
            for where in others.values():
                sock.sendto(me.encode(), where)
        try:
            data, _ = sock.recvfrom(64)
            name = data.decode("ascii", "replace")
            if name in others:
                heard[name] = time.monotonic()
        except (TimeoutError, ConnectionRefusedError):
            pass
        if now - began < SILENCE:
            continue
        alive = [me] + [name for name, at in heard.items() if now - at < SILENCE]
        if min(alive) != primary:
            primary = min(alive)
            log(me, "now PRIMARY" if primary == me else f"now backup of {primary}")
    log(me, "bye")


if __name__ == "__main__":
    main(*sys.argv[1:])
