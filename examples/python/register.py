"""A register over TCP: one line asks, one line answers. What was written is on the disk before it is acknowledged."""
import json
import os
import socketserver
import sys
import threading

host, port = sys.argv[1].rsplit(":", 1)
lock = threading.Lock()


def load():
    try:
        with open("register.json") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


registers = load()


def perform(request):
    with lock:
        if request["op"] == "write":
            registers[str(request["key"])] = request["value"]
            with open("register.new", "w") as file:
                json.dump(registers, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace("register.new", "register.json")
        return registers.get(str(request["key"]))


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            for line in self.rfile:
                answer = perform(json.loads(line))
                self.wfile.write((json.dumps(answer) + "\n").encode())
        except ConnectionError:
            pass  # a client that is gone, or was cut off, has no more to ask


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server((host, int(port)), Session) as server:
    print("listening", flush=True)
    server.serve_forever()
