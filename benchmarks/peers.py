"""The peers, each in an environment of its own under `.benchmarks/peers`."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".benchmarks" / "peers"
CLIENTS = Path(__file__).resolve().parent / "clients"
NODE = "nano"


def compile_ours() -> None:
    """Compile our modules: what pip installs is compiled, a checkout that was just changed is not."""
    compileall.compile_dir(ROOT / "src" / "aiocouch", quiet=1)


@dataclass(frozen=True)
class Peer:
    """A client library: what is installed, and the program that uses it."""

    name: str
    packages: tuple[str, ...]
    program: str
    title: str

    @property
    def folder(self) -> Path:
        """Where it is installed."""
        return FOLDER / self.name

    @property
    def command(self) -> list[str]:
        """What runs its program; the job comes behind it."""
        runner = "node" if self.name == NODE else str(self.folder / "bin" / "python")
        return [runner, str(CLIENTS / self.program)]

    def is_possible(self) -> bool:
        """Whether it can run on this machine."""
        return self.name != NODE or bool(shutil.which("node") and shutil.which("npm"))

    def install(self) -> None:
        """Install it, unless that is done."""
        if self in {OURS, FAST}:
            compile_ours()
        stamp = self.folder / "installed"
        wanted = " ".join(self.packages)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"installing {wanted} …", flush=True)
        if self.name == NODE:
            self._install_node()
        else:
            self._install_python()
        stamp.write_text(wanted)

    def _install_python(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)
        pip = [str(self.folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *self.packages], check=True)

    def _install_node(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--prefix", str(self.folder)]
        subprocess.run([*npm, *self.packages], check=True)


RAW = Peer("raw", ("aiohttp>=3.14", "orjson"), "raw.py", "raw")
OURS = Peer("ours", ("--editable", str(ROOT)), "ours.py", "aiocouch 5")
FAST = Peer("fast", ("--editable", f"{ROOT}[fast]"), "ours.py", "aiocouch 5 [fast]")
PEERS = (
    RAW,
    OURS,
    FAST,
    Peer("aiocouch4", ("aiocouch==4.0.1",), "ours.py", "aiocouch 4.0.1"),
    Peer("couchdb3", ("couchdb3==3.5.0",), "couchdb3_client.py", "couchdb3"),
    Peer("ibmcloudant", ("ibmcloudant==0.11.12",), "ibmcloudant_client.py", "ibmcloudant (sync)"),
    Peer(NODE, ("nano@11",), "nano_client.cjs", "nano (Node)"),
)
