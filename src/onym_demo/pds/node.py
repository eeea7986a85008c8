"""How the two node programs are started: where they lie, and what they are told."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
INSTALLED = Path(os.environ.get("ONYM_PDS_DIR") or HERE.parents[2] / "build" / "pds")
PROGRAM = INSTALLED / "bin" / "node"
ADMIN = "ONYM_PLATFORM_PASSWORD"


def command(name: str, *arguments: str) -> list[str]:
    """One of our two start files, with the preload that keeps it on loopback and on time."""
    return [
        str(PROGRAM),
        "--require",
        str(HERE / "preload.js"),
        str(HERE / f"{name}.js"),
        *arguments,
    ]


def environment(clock_file: Path | None) -> dict[str, str]:
    """Common to both."""
    told = {"NODE_PATH": str(INSTALLED / "node_modules"), "LOG_ENABLED": "false"}
    if clock_file is not None:
        told["ONYM_DEMO_CLOCK_FILE"] = str(clock_file)
    return told


def server(data: Path, *, port: int, plc_port: int, smtp_port: int | None) -> dict[str, str]:
    """The PDS's own settings. Sign-up is by invitation only, as a host that sells handles must."""
    for folder in ("pds", "blobs", "tmp"):
        (data / folder).mkdir(exist_ok=True)
    told = {
        "PDS_PORT": str(port),
        "PDS_HOSTNAME": "localhost",
        "PDS_DEV_MODE": "true",
        "PDS_INVITE_REQUIRED": "true",
        "PDS_DATA_DIRECTORY": str(data / "pds"),
        "PDS_BLOBSTORE_DISK_LOCATION": str(data / "blobs"),
        "PDS_BLOBSTORE_DISK_TMP_LOCATION": str(data / "tmp"),
        "PDS_DID_PLC_URL": f"http://127.0.0.1:{plc_port}",
        "PDS_DID_CACHE_STALE_TTL": "0",  # describeRepo shows the directory as it is
        "PDS_DID_CACHE_MAX_TTL": "0",
        "PDS_ADMIN_PASSWORD": os.environ.get(ADMIN, ""),
        "PDS_JWT_SECRET": secret(data, "jwt"),
        "PDS_DPOP_SECRET": secret(data, "dpop"),
        "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX": secret(data, "rotation"),
    }
    if smtp_port is not None:
        post = f"smtp://127.0.0.1:{smtp_port}"
        told |= {"PDS_EMAIL_SMTP_URL": post, "PDS_EMAIL_FROM_ADDRESS": "pds@plaza.example"}
        told |= {"PDS_MODERATION_EMAIL_SMTP_URL": post}
        told |= {"PDS_MODERATION_EMAIL_ADDRESS": "moderation@plaza.example"}
    return told


def secret(data: Path, name: str) -> str:
    """64 hexadecimal digits, made by whichever part starts first and kept for the owner alone."""
    kept = data / f"secret-{name}"
    if not kept.exists():
        fresh = data / f".secret-{name}-{os.getpid()}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(fresh, kept)
        fresh.unlink()
    return kept.read_text()
