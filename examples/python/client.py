"""A client of the register: reads one line of JSON for each operation from standard input, and answers with one on standard output.

{"id": 7, "op": "write", "key": 3, "value": 1000041, "target": "node1"}  ->  {"id": 7, "type": "ok"}

"fail" is for what certainly did not happen. A connection that breaks after the request was sent proves nothing: that is "info".
"""
import json
import socket
import sys

host, port = sys.argv[1].rsplit(":", 1)
connection = None


def connect():
    global connection
    if connection is None:
        connection = socket.create_connection((host, int(port)), timeout=2).makefile("rw")


def perform(request):
    global connection
    try:
        connect()
    except OSError as error:
        return {"type": "fail", "why": f"not connected: {error}"}
    try:
        connection.write(json.dumps(request) + "\n")
        connection.flush()
        answer = connection.readline()
        if not answer:
            raise ConnectionError("the connection was closed")
        return {"type": "ok", "value": json.loads(answer)}
    except (OSError, ValueError) as error:
        connection = None
        # A read changes nothing, so one without an answer certainly did nothing.
        return {"type": "fail" if request["op"] == "read" else "info", "why": str(error)}


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], **perform(request)}), flush=True)
