"""`python -m onym_demo.pds plc|server|life`: the directory, the PDS, and the people on it.

The first two become the node programs that tools/pds/install has put below build/pds; all three
listen and connect on loopback only, and go by the demo's clock. See docs/guides/atproto.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from onym_demo.pds import life, node


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m onym_demo.pds", description=__doc__)
    parser.add_argument("part", choices=("plc", "server", "life"))
    parser.add_argument("--data", type=Path, required=True, help="directory of its own state")
    parser.add_argument("--port", type=int, required=True, help="of the PDS")
    parser.add_argument("--plc-port", type=int, required=True, help="of the directory")
    parser.add_argument("--smtp-port", type=int, help="of a mail server on this machine")
    parser.add_argument("--clock-file", type=Path, help="file with the demo clock's offset")
    few = int(os.environ.get("ONYM_DEMO_PDS_COUNT") or life.COUNT)
    parser.add_argument("--count", type=int, default=few, help="accounts, made at first")
    return parser


def main() -> None:
    asked = options().parse_args()
    asked.data.mkdir(parents=True, exist_ok=True)
    if asked.part == "life":
        life.run(data=asked.data, port=asked.port, clock_file=asked.clock_file, count=asked.count)
        return
    if not node.PROGRAM.exists():
        sys.exit("the PDS is not installed; run tools/pds/install")
    environment = {**os.environ, **node.environment(asked.clock_file)}
    if asked.part == "plc":
        command = node.command("plc", str(asked.plc_port), str(asked.data / "plc.jsonl"))
    else:
        command = node.command("server")
        environment |= node.server(
            asked.data, port=asked.port, plc_port=asked.plc_port, smtp_port=asked.smtp_port
        )
    os.execve(command[0], command, environment)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    main()
