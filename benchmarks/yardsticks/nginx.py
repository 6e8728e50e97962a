"""nginx as a websocket proxy: a byte tunnel in C, one process, everything it writes below one folder."""

import shutil
from pathlib import Path
from typing import Final

_CONFIGURATION: Final = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096{listen_tls};
{server_tls}        location / {{
            proxy_pass {scheme}://127.0.0.1:{supervision};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"""
_SERVER_TLS: Final = """\
        ssl_certificate {certificates}/relay.pem;
        ssl_certificate_key {certificates}/relay.pem;
        ssl_protocols TLSv1.3;
        proxy_ssl_protocols TLSv1.3;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate {certificates}/ca.pem;
        proxy_ssl_name localhost;
"""
CONNECTIONS: Final = 4096


def find() -> str | None:
    """Return where nginx is; Debian keeps it where only root looks for commands."""
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def configuration(folder: Path, port: int, supervision: int, certificates: Path | None) -> str:
    """Return the text of nginx.conf; with `certificates`, TLS 1.3 on both sides."""
    return _CONFIGURATION.format(
        folder=folder,
        port=port,
        supervision=supervision,
        connections=CONNECTIONS,
        listen_tls="" if certificates is None else " ssl",
        server_tls="" if certificates is None else _SERVER_TLS.format(certificates=certificates),
        scheme="http" if certificates is None else "https",
    )
