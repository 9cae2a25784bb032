"""Who is measured, and how each is configured.

Everyone gets one worker, keep-alive to client and upstream without a limit on requests, and nothing else that the row does
not ask for. `hard` is each peer's own way to what Seaworthy does in full: a request id made and passed on both ways,
forwarded headers, the usual response headers, a rate limit that never bites, and a JSON line for each request.
"""
import json
from dataclasses import dataclass, field
from pathlib import Path

from .setup import TOOLS

RESPONSE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Content-Security-Policy": "default-src 'self'",
    "Permissions-Policy": "geolocation=(), microphone=()",
}


# Every rule is asked for each request, and none ever refuses one.
ARMOUR = {
    "limits": {"tiers": {"anonymous": {"capacity": 4_000_000, "refill_per_sec": 4_000_000}}},
    "bans": {"threshold": 100_000, "window": "1s", "block": "15m"},
    "breakers": {"default": {"failures": 5, "recovery": "60s"}},
    "concurrency": {"max": 1000, "queue": 100, "queue_timeout": "1s"},
    "headers": {"security": {"fields": "web", "mode": "set", "hsts": "always"}},
}


@dataclass
class Peer:
    """A proxy: the command that starts it, and the text of the one file that it reads."""

    name: str
    port: int
    folder: Path
    command: list = field(default_factory=list)
    file: str = ""
    text: str = ""
    workers: int = 1


class Peers:
    """Makes peers. `place(name)` gives a port and a folder for one; `upstream` is a port, `unix` the same as a socket."""

    def __init__(self, programs, seaworthy, place, upstream, unix):
        self.programs, self.binary, self.place, self.upstream, self.unix = programs, seaworthy, place, upstream, unix

    def seaworthy(self, name, full=False, unix=False, workers=1, armour=False):
        """Seaworthy with nothing but proxying switched on, or as it comes, or with every rule that stands before an app."""
        port, folder = self.place(name)
        config = {"state_dir": f"{folder}/state", "log": {"format": "json"}}
        if not full:
            config |= {"metrics": {"enabled": False}, "request_id": False, "traces": {"context": False}}
            config["log"]["access"] = False
        if armour:
            config |= ARMOUR
        connect = f"unix:{self.unix}" if unix else f"127.0.0.1:{self.upstream}"
        command = [str(self.binary), "run", "-c", f"{folder}/seaworthy.yaml", "--listen", f"127.0.0.1:{port}"]
        command += ["--connect", connect, "--threads", str(workers), "--admin", "off"]
        # JSON is YAML too.
        return Peer(name, port, folder, command, "seaworthy.yaml", json.dumps(config), workers)

    def nginx(self, name, hard=False, http2=False, single=False):
        """nginx; `single` for one process in all, which is what callgrind can follow."""
        port, folder = self.place(name)
        location = NGINX_HARD.format(folder=folder) if hard else ""
        for header, value in RESPONSE_HEADERS.items() if hard else ():
            location += f'      add_header {header} "{value}" always;\n'
        text = NGINX.format(
            folder=folder,
            port=port,
            upstream=self.upstream,
            http2=" http2" if http2 else "",
            master="off" if single else "on",
            location=location,
        )
        command = [self.programs["nginx"], "-p", str(folder), "-c", f"{folder}/nginx.conf"]
        return Peer(name, port, folder, command, "nginx.conf", text)

    def relay(self):
        """Bytes passed on and nothing else: what no proxy on this machine can pass."""
        port, folder = self.place("relay")
        command = [str(TOOLS), "relay", "--port", str(port), "--upstream", str(self.upstream)]
        return Peer("relay", port, folder, command)

    def haproxy(self, name, hard=False):
        """HAProxy."""
        port, folder = self.place(name)
        frontend = HAPROXY_HARD if hard else ""
        for header, value in RESPONSE_HEADERS.items() if hard else ():
            frontend += f'  http-response set-header {header} "{value}"\n'
        log = "log stdout len 4096 format raw local0" if hard else ""
        text = HAPROXY.format(port=port, upstream=self.upstream, frontend=frontend, log=log)
        command = [self.programs["haproxy"], "-f", f"{folder}/haproxy.cfg"]
        return Peer(name, port, folder, command, "haproxy.cfg", text)

    def envoy(self, name, hard=False):
        """Envoy, whose YAML is written as the JSON that it also is."""
        port, folder = self.place(name)
        text = json.dumps(envoy(port, self.upstream, folder, hard))
        command = [self.programs["envoy"], "-c", f"{folder}/envoy.yaml", "--concurrency", "1"]
        return Peer(name, port, folder, [*command, "--disable-hot-restart", "-l", "off"], "envoy.yaml", text)


NGINX = """daemon off; master_process {master}; worker_processes 1; pid {folder}/pid; error_log /dev/null crit;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d;
  scgi_temp_path {folder}/e;
  limit_req_zone $binary_remote_addr zone=clients:16m rate=1000000r/s;
  log_format line escape=json '{{"time":"$time_iso8601","method":"$request_method","path":"$uri","status":$status,'
    '"bytes":$body_bytes_sent,"seconds":$request_time,"client":"$remote_addr","request_id":"$request_id"}}';
  upstream app {{
    server 127.0.0.1:{upstream} max_fails=0;
    keepalive 256; keepalive_requests 1000000000; keepalive_timeout 300s;
  }}
  server {{
    listen 127.0.0.1:{port}{http2} backlog=4096;
    location = /health/live {{
      default_type application/json; add_header Cache-Control no-store;
      return 200 '{{"status":"healthy","service":"app","checked_at":"2026-01-01T00:00:00Z"}}';
    }}
    location / {{
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
{location}    }}
  }}
}}
"""

NGINX_HARD = """      limit_req zone=clients burst=4000 nodelay;
      access_log {folder}/out line;
      proxy_set_header Host $host; proxy_set_header X-Request-Id $request_id;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_read_timeout 30s;
      add_header X-Request-Id $request_id always;
"""

HAPROXY = """global
  nbthread 1
  maxconn 8192
  {log}
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 30s
  timeout http-keep-alive 300s
  http-reuse always
frontend front
  bind 127.0.0.1:{port}
{frontend}  default_backend app
backend app
  server one 127.0.0.1:{upstream} maxconn 4096 pool-max-conn 1024
"""

HAPROXY_HARD = """  log global
  log-format '{"time":"%tr","method":"%HM","path":"%HP","status":%ST,"bytes":%B,"ms":%Ta,"client":"%ci","request_id":"%ID"}'
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  stick-table type ip size 1m expire 60s store http_req_rate(1s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 4000000 }
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  http-response set-header X-Request-Id %[unique-id]
"""

ENVOY_TYPES = "type.googleapis.com/envoy.extensions"


def envoy(port, upstream, folder, hard):
    """Envoy's bootstrap."""

    def typed(kind, **fields):
        return {"@type": f"{ENVOY_TYPES}.{kind}", **fields}

    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    filters = [{"name": "router", "typed_config": typed("filters.http.router.v3.Router")}]
    routes = {
        "name": "routes",
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "30s" if hard else "0s"}}],
            }
        ],
    }
    manager = {"stat_prefix": "front", "generate_request_id": hard, "route_config": routes, "http_filters": filters}
    if hard:
        bucket = {"max_tokens": 4_000_000, "tokens_per_fill": 4_000_000, "fill_interval": "1s"}
        always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
        kind = "filters.http.local_ratelimit.v3.LocalRateLimit"
        limit = typed(kind, stat_prefix="limit", token_bucket=bucket, filter_enabled=always, filter_enforced=always)
        filters.insert(0, {"name": "limit", "typed_config": limit})
        headers = {**RESPONSE_HEADERS, "X-Request-Id": "%REQ(X-REQUEST-ID)%"}
        routes["response_headers_to_add"] = [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in headers.items()
        ]
        line = {
            "time": "%START_TIME%",
            "method": "%REQ(:METHOD)%",
            "path": "%REQ(:PATH)%",
            "status": "%RESPONSE_CODE%",
            "bytes": "%BYTES_SENT%",
            "ms": "%DURATION%",
            "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "request_id": "%REQ(X-REQUEST-ID)%",
        }
        log = typed("access_loggers.file.v3.FileAccessLog", path=f"{folder}/out", log_format={"json_format": line})
        manager |= {"use_remote_address": True, "access_log": [{"name": "file", "typed_config": log}]}
    kind = "filters.network.http_connection_manager.v3.HttpConnectionManager"
    chain = {"filters": [{"name": "http", "typed_config": typed(kind, **manager)}]}
    endpoint = {"endpoint": {"address": address(upstream)}}
    cluster = {
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {
            "thresholds": [{"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 1024}]
        },
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    listener = {"name": "front", "address": address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
