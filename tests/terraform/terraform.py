"""Terraform as tests use it: a copy of infra/terraform in a folder of the test's own, commands with
a limit of time, and what Terraform said in the message of a failure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Timer
from typing import Any, Final

SOURCE: Final = Path(__file__).resolve().parents[2] / "infra" / "terraform"

# AWS's variables are not among them: a test never reaches an account that somebody is logged in to.
_INHERITED: Final = (
    *("PATH", "HOME", "TMPDIR", "LANG", "TF_CLI_CONFIG_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
)
_LAST_CHARACTERS: Final = 12_000
_INTERRUPTED_SECONDS: Final = 60
_CHANGES: Final = 2
"""What `plan -detailed-exitcode` ends with when there is something to change."""


class TerraformError(AssertionError):
    """A command ended badly or too late; the message has the command and the end of its output."""


class Terraform:
    """One root module in one working folder, with one state.

    Args:
        work: a folder of the test's own; `module` is copied to `work/terraform`.
        module: the folder to copy, states and providers left out.
        root: the root module within it (`registry`, say); the copied folder itself by default.
        environment: beside what every program needs; credentials and endpoints come by it.
        var_file: given to plan, apply and destroy.
    """

    def __init__(
        self,
        work: Path,
        *,
        module: Path = SOURCE,
        root: str = ".",
        environment: Mapping[str, str] | None = None,
        var_file: Path | None = None,
    ) -> None:
        self.copied = (work / "terraform").resolve()
        shutil.copytree(module, self.copied, ignore=_left_out)
        self.folder = (self.copied / root).resolve()
        self.environment = _environment() | dict(environment or {})
        self.var_file = var_file

    def init(self, *, seconds: float = 180) -> None:
        """Fetches the provider (from the mirror that the CLI configuration names) and modules."""
        self.run("init", "-backend=false", "-input=false", seconds=seconds)

    def validate(self, *, seconds: float = 120) -> None:
        """Raises TerraformError unless the module is valid."""
        self.run("validate", seconds=seconds)

    def test(self, *arguments: str, seconds: float = 900) -> str:
        """Runs the module's own tests (tests/*.tftest.hcl); what Terraform printed."""
        return self.run("test", *arguments, seconds=seconds)

    def test_lines(self, *, seconds: float = 900) -> Iterator[str]:
        """Runs the module's own tests: lines of JSON on what happened, with the state of each run.

        After `seconds` Terraform is interrupted, and its last lines say so. A state with the
        provider's schemas takes 14 MB: the lines are given one at a time.
        """
        command = ["terraform", "test", "-json", "-verbose"]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            late = Timer(seconds, child.send_signal, [signal.SIGINT])
            late.start()
            try:
                assert child.stdout is not None
                yield from child.stdout
            finally:
                late.cancel()

    def plan(
        self, variables: Mapping[str, Any] | None = None, *, seconds: float = 300
    ) -> dict[str, Any]:
        """The plan as `terraform show -json` prints it; nothing is changed."""
        file = self.folder / "test.tfplan"
        self.run("plan", "-input=false", f"-out={file}", *self._given(variables), seconds=seconds)
        return self.show_json(file)

    def has_changes(
        self, variables: Mapping[str, Any] | None = None, *, seconds: float = 300
    ) -> bool:
        """Whether an apply would change anything."""
        done = self._ended(
            "plan", "-input=false", "-detailed-exitcode", *self._given(variables), seconds=seconds
        )
        if done.returncode not in (0, _CHANGES):
            raise TerraformError(_said(done))
        return done.returncode == _CHANGES

    def apply(
        self, variables: Mapping[str, Any] | None = None, *arguments: str, seconds: float = 600
    ) -> str:
        """Makes it so; what Terraform printed. `arguments` may be `-target=...` and the like."""
        given = self._given(variables)
        return self.run(
            "apply", "-input=false", "-auto-approve", *given, *arguments, seconds=seconds
        )

    def destroy(self, variables: Mapping[str, Any] | None = None, *, seconds: float = 600) -> str:
        """Takes everything away; what Terraform printed."""
        given = self._given(variables)
        return self.run("destroy", "-input=false", "-auto-approve", *given, seconds=seconds)

    def show_json(self, plan: Path | None = None, *, seconds: float = 120) -> dict[str, Any]:
        """The state (or a plan) as `terraform show -json` prints it."""
        shown: dict[str, Any] = json.loads(
            self.run("show", "-json", *([str(plan)] if plan else []), seconds=seconds)
        )
        return shown

    def outputs(self, *, seconds: float = 60) -> dict[str, Any]:
        """Output -> its value."""
        answered = json.loads(self.run("output", "-json", seconds=seconds))
        return {name: output["value"] for name, output in answered.items()}

    def addresses(self, *, seconds: float = 60) -> list[str]:
        """Of everything that the state holds."""
        return self.run("state", "list", seconds=seconds).split()

    def run(self, *arguments: str, seconds: float) -> str:
        """What a command wrote to standard output.

        Raises:
            TerraformError: it ended badly, or not within `seconds`.
        """
        done = self._ended(*arguments, seconds=seconds)
        if done.returncode != 0:
            raise TerraformError(_said(done))
        return done.stdout

    def _ended(self, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
        command = ["terraform", *arguments, *(["-no-color"] if arguments[0] in _COLOURED else [])]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                said = child.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as late:
                lost = _interrupted(child)
                raise TerraformError(f"{command}: not within {seconds:.0f} s:\n{lost}") from late
            return subprocess.CompletedProcess(command, child.returncode, *said)

    def _given(self, variables: Mapping[str, Any] | None) -> list[str]:
        file = [f"-var-file={self.var_file}"] if self.var_file else []
        return file + [f"-var={name}={_hcl(value)}" for name, value in (variables or {}).items()]


_COLOURED: Final = ("init", "validate", "test", "plan", "apply", "destroy")


def _interrupted(child: subprocess.Popen[str]) -> str:
    """The end of what it said. Asked to end, Terraform still writes its state down."""
    child.send_signal(signal.SIGINT)
    try:
        return "".join(child.communicate(timeout=_INTERRUPTED_SECONDS))[-_LAST_CHARACTERS:]
    except subprocess.TimeoutExpired:
        child.kill()
        return "".join(child.communicate())[-_LAST_CHARACTERS:]


def _hcl(value: object) -> str:
    """JSON is HCL for everything but a bare string, which `-var` takes as it stands."""
    return value if isinstance(value, str) else json.dumps(value)


def _left_out(_: str, names: list[str]) -> set[str]:
    return {one for one in names if one.startswith(".terraform") or ".tfstate" in one}


def _environment() -> dict[str, str]:
    own = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    return own | {name: os.environ[name] for name in _INHERITED if name in os.environ}


def _said(done: subprocess.CompletedProcess[str]) -> str:
    said = (done.stdout + done.stderr)[-_LAST_CHARACTERS:]
    return f"{done.args} ended with {done.returncode}:\n{said}"
