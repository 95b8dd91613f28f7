"""Processes meet before JAX starts: who does not come is named, in an error that can be caught.

Process 0 listens at the address where JAX's own service will be. The others say who they are. When all are
there, it closes the port and tells them to go on.
"""

import contextlib
import socket
import time

HELLO = "gradchain"
PAUSE = 0.1  # seconds between two attempts to connect


def meet(address: str, processes: int, process: int, timeout: float) -> None:
    """Waits until all processes are there.

    Args: address, "host:port" of process 0; timeout, seconds.
    Raises: TimeoutError, in every process that waits, with those that are missing; ValueError if two
        processes have one number, or differ in how many they are.
    """
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + timeout
    if process == 0:
        answer = _gather(int(port), processes, deadline)
    else:
        answer = _join(host.strip("[]"), int(port), processes, process, deadline)
    kind, _, rest = answer.partition(" ")
    if kind == "missing":
        raise TimeoutError(_late(rest.split(","), processes, address, timeout))
    if kind == "wrong":
        raise ValueError(f"join_processes: {rest}")


def _gather(port: int, processes: int, deadline: float) -> str:
    """Process 0: hears the others, and tells them how it ended. Returns: what it told them."""
    came: set[int] = set()
    peers: list[socket.socket] = []
    answer = ""
    with contextlib.ExitStack() as stack:
        with _listening(port) as server:
            while not answer and len(came) < processes - 1 and (left := deadline - time.monotonic()) > 0:
                server.settimeout(left)
                with contextlib.suppress(OSError):  # of a connection that was cut, or of time
                    peers.append(stack.enter_context(server.accept()[0]))
                    answer = _welcome(peers[-1], came, processes)
        missing = [str(i) for i in range(1, processes) if i not in came]
        answer = answer or (f"missing {','.join(missing)}" if missing else "go")
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.sendall(f"{answer}\n".encode())
        for peer in peers:  # they hang up first, so that the port is free at once
            with contextlib.suppress(OSError):
                peer.settimeout(1.0)
                peer.recv(1)
    return answer


def _welcome(peer: socket.socket, came: set[int], processes: int) -> str:
    """Hears who a peer is. Returns: what is wrong with it, or nothing. Strangers are ignored."""
    peer.settimeout(2.0)
    words = _line(peer).split()
    if len(words) != 3 or words[0] != HELLO:
        return ""
    process, expected = int(words[1]), int(words[2])
    if expected != processes:
        return f"wrong process {process} expects {expected} processes, process 0 expects {processes}."
    if process in came:
        return f"wrong two processes say that they are process {process} of {processes}."
    came.add(process)
    return ""


def _join(host: str, port: int, processes: int, process: int, deadline: float) -> str:
    """Another process: says who it is, and waits for the answer."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection((host, port), timeout=left) as s:
                s.sendall(f"{HELLO} {process} {processes}\n".encode())
                s.settimeout(max(deadline - time.monotonic(), 0) + 5.0)  # process 0 may have come later
                answer = _line(s)
            if answer:
                return answer
        except OSError:
            pass  # process 0 is not there yet
        time.sleep(PAUSE)
    return "missing 0"


def _line(s: socket.socket) -> str:
    """One line from a peer; nothing if it hangs up."""
    text = b""
    while not text.endswith(b"\n") and len(text) < 1000:
        part = s.recv(100)
        if not part:
            return ""
        text += part
    return text.decode(errors="replace").strip()


def _listening(port: int) -> socket.socket:
    """A socket that listens on all addresses of this machine."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be switched off
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _late(missing: list[str], processes: int, address: str, timeout: float) -> str:
    """Who is missing, and what to look at."""
    several = len(missing) > 1
    who = f"processes {', '.join(missing)}" if several else f"process {missing[0]}"
    return (
        f"join_processes: {who} of {processes} {'have' if several else 'has'} not come to {address} within "
        f"{timeout:g} s. Look whether {'they run' if several else 'it runs'} and what "
        f"{'they wrote' if several else 'it wrote'} last, whether all were given the same address and "
        "number of processes, and whether a firewall closes the port; a longer timeout is an argument."
    )
