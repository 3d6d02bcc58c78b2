# Executes its arguments where no packet socket can be opened: behind a seccomp filter as containers have them.
import ctypes, os, platform, struct, sys
socket = {"x86_64": 41, "aarch64": 198}[platform.machine()]
load, equal, give = 0x20, 0x15, 0x06
packet, refuse, allow = 17, 0x00050001, 0x7fff0000
program = [(load, 0, 0, 0), (equal, 0, 3, socket), (load, 0, 0, 16), (equal, 0, 1, packet), (give, 0, 0, refuse), (give, 0, 0, allow)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(filters))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, header, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execvp(sys.argv[1], sys.argv[1:])
