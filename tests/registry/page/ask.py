#!/usr/bin/env python3
"""ask.py ADDRESS CHECK [ARGUMENT]: asks `silc serve` over plain sockets, and holds it to its answers."""
import json
import socket
import sys
import threading
import time
import urllib.parse


def ask(target, method="GET", headers=None, body=b"", host=None, raw=None):
    """(status, headers, body) of one request, sent as it is: no client cleans the path."""
    with socket.create_connection((HOST, PORT), timeout=20) as connection:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or f'{HOST}:{PORT}'}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        connection.sendall(raw if raw is not None else "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    head, _, content = answer.partition(b"\r\n\r\n")
    if not head:
        return 0, {}, b""
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = dict((line.split(": ", 1) + [""])[:2] for line in rest)
    return int(first.split()[1]), fields, content


def check_answers(folder):
    status, headers, page = ask("/")
    assert status == 200 and page.startswith(b"<!doctype html>"), status
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY", headers
    assert ask("/", headers={"If-None-Match": headers["ETag"]})[::2] == (304, b"")
    status, headers, state = ask("/state")
    sections = [name for name, _ in json.loads(state)["sections"]]
    assert {"head", "navigation", "curves", "cells"} <= set(sections), sections
    assert ask("/state", headers={"If-None-Match": headers["ETag"]})[0] == 304
    for part in ("section:curves", "curves:loss", "cell:" + folder):
        status, _, html = ask("/part/" + urllib.parse.quote(part, safe=""))
        assert status == 200 and b"<" in html, (part, status)
    assert ask("/", method="HEAD")[::2] == (200, b"")


def check_tricks(_):
    deep = "../" * 12
    for path in ("/../secret", "/part/../secret", "/part/" + deep + "etc/passwd", "/" + deep + "etc/passwd", "/etc/passwd",
                 "//etc/passwd", "/runs/registry.sqlite", "/registry.sqlite", "/secret", "/part/cell:" + deep + "etc",
                 "/part/" + urllib.parse.quote("cell:study/CLIP/../../../secret", safe=""), "/%2e%2e/secret",
                 "/%2e%2e%2f%2e%2e%2fetc/passwd", "/part/%2e%2e%2fsecret", "/..%5csecret", "/part/cell:/etc/passwd",
                 "/part/file:///etc/passwd", "/part/", "/part/%00", "/\\..\\secret", "/part/cell:study/CLIP/seed-0%00",
                 "http://127.0.0.1/etc/passwd", "*", "/" + "a" * 8000, "/%", "/part/%zz", "/static/page.js", "/favicon.ico"):
        status, _, body = ask(path)
        assert status in (400, 404), (path, status)
        assert b"key to the house" not in body and b"root:" not in body, path
    for raw in (b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n",
                b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n"):
        status, _, body = ask("", raw=raw)
        assert status != 200, raw[:40]
    assert ask("/")[0] == 200, "it still answers"


def check_methods(_):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert ask("/", method=method)[0] == 405, method
    # With a body that nobody reads, the answer may be lost as the connection ends.
    assert ask("/", method="POST", body=b"x=1")[0] in (0, 405, 413)
    assert ask("/", method="GET", body=b"x" * 100)[0] in (0, 413)


def check_hosts(_):
    for host in ("example.com", f"example.com:{PORT}", "127.0.0.1.example.com", "", "[fe80::1]"):
        assert ask("/", host=host or " ")[0] in (400, 403), host
    for host in ("localhost", f"localhost:{PORT}", "127.0.0.1", f"[::1]:{PORT}"):
        assert ask("/", host=host)[0] == 200, host


def check_token(_):
    token = urllib.parse.urlsplit(ADDRESS).query.removeprefix("token=")
    assert len(token) == 32, ADDRESS
    for target in ("/", "/state", "/part/curves:loss", "/?token=", "/?token=" + "0" * 32, "/?token=" + token[:-1]):
        status, _, body = ask(target)
        assert status == 403 and b"CLIP" not in body, (target, status)
    status, headers, _ = ask("/?token=" + token, host="some.machine:8008")
    assert status == 303 and headers["Location"] == "/", status
    cookie = headers["Set-Cookie"].split(";")
    assert " HttpOnly" in cookie and " SameSite=Strict" in cookie, cookie
    assert ask("/", headers={"Cookie": "a=b; " + cookie[0]})[0] == 200
    assert ask("/", headers={"Cookie": cookie[0][:-1]})[0] == 403


def check_many(_):
    silent = [socket.create_connection((HOST, PORT)) for _ in range(200)]
    failures = []
    times = []

    def browse():
        try:
            assert ask("/")[0] == 200
            tag = ""
            for _ in range(6):
                begin = time.time()
                status, headers, _ = ask("/state", headers={"If-None-Match": tag} if tag else {})
                times.append(time.time() - begin)
                assert status in (200, 304), status
                tag = headers.get("ETag", tag)
                time.sleep(0.05)
        except Exception as fault:  # pylint: disable=broad-except
            failures.append(repr(fault))

    threads = [threading.Thread(target=browse) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for connection in silent:
        connection.close()
    assert not failures, failures[:3]
    times.sort()
    print(f"50 browsers: median {1000 * times[len(times) // 2]:.1f} ms, longest {1000 * times[-1]:.0f} ms")


ADDRESS = sys.argv[1]
HOST, PORT = urllib.parse.urlsplit(ADDRESS).hostname.replace("0.0.0.0", "127.0.0.1"), urllib.parse.urlsplit(ADDRESS).port

if __name__ == "__main__":
    try:
        globals()["check_" + sys.argv[2]](sys.argv[3] if len(sys.argv) > 3 else "")
    except AssertionError as fault:
        print(f"{sys.argv[2]}: {fault}")
        sys.exit(1)
