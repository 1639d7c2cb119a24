"""What the project is to others: its package's page, its releases, and the checks of a change."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from markdown_it import MarkdownIt
from packaging.requirements import Requirement

from depthsvc.version import __version__

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
ADDRESS = "https://github.com/depthsvc/depthsvc"
LAST_VULNERABLE = {"filelock": "3.20.2"}  # follows links when it makes a lock file: CVE-2025-68146, CVE-2026-22701
"""Packages, and the last version of each with a vulnerability that matters here."""
WORKFLOWS = sorted(GITHUB.glob("workflows/*"))


@pytest.fixture(scope="module")
def metadata() -> ProjectMetadata[Any]:
    """What the package says of itself, as a build would compute it."""
    return ProjectMetadata(str(ROOT), PluginManager())


def links(markdown: str) -> list[str]:
    """The addresses of all links and images, those of HTML included."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    found = [str(token.attrs[name]) for token in inline for name in ("href", "src") if name in token.attrs]
    html = "".join(token.content for token in [*tokens, *inline] if token.type.startswith("html"))
    return [*found, *re.findall(r"""(?:href|src|srcset)=["']([^"']+)""", html)]


def fences(markdown: str) -> list[str]:
    return [token.content for token in MarkdownIt().parse(markdown) if token.type == "fence"]


def test_links_of_the_readme_work_on_the_package_page(metadata: ProjectMetadata[Any]) -> None:
    readme, page = (ROOT / "README.md").read_text(), metadata.core.readme
    assert metadata.core.readme_content_type == "text/markdown"
    assert len(links(page)) == len(links(readme)) > 20
    assert [link for link in links(page) if not link.startswith(("https://", "#"))] == []
    for link in links(page):
        if link.startswith(ADDRESS):
            path = link.removeprefix(ADDRESS).partition("#")[0]
            kind, file = re.fullmatch(r"/(blob|raw)/main/(.+)", path).groups()  # type: ignore[union-attr]
            assert (ROOT / file).is_file(), link
            assert (kind == "raw") == (Path(file).suffix in {".png", ".jpg", ".svg"}), link
    assert fences(page) == fences(readme)


def test_the_project_says_where_it_is(metadata: ProjectMetadata[Any]) -> None:
    urls = metadata.core.urls
    assert set(urls) >= {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url == ADDRESS or url.startswith(f"{ADDRESS}/") for url in urls.values())
    [contact] = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE/config.yml").read_text())["contact_links"]
    assert contact["url"].startswith(f"{ADDRESS}/security/")


def test_versions_with_known_vulnerabilities_are_not_installed(metadata: ProjectMetadata[Any]) -> None:
    required = {each.name: each.specifier for each in map(Requirement, metadata.core.dependencies)}
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    for package, last_vulnerable in LAST_VULNERABLE.items():
        assert not required[package].contains(last_vulnerable)
        assert required[package].contains(tested[package])


def test_a_released_version_is_in_the_changelog(metadata: ProjectMetadata[Any]) -> None:
    assert metadata.version == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+|\.dev\d+)?", __version__)
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [section for section in sections if section != "Unreleased"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\S* - \d{4}-\d\d-\d\d", section) for section in released)
    assert ".dev" in __version__ or released[0].split()[0] == __version__


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", "workflows/*"),
        ("dependabot", "dependabot.yaml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/*.yaml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_what_github_reads_is_well_formed(schema: str, pattern: str) -> None:
    files = sorted(GITHUB.glob(pattern))
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_change_is_checked_as_contributors_check_it() -> None:
    workflow = yaml.safe_load((GITHUB / "workflows/ci.yaml").read_text())
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML reads `on` so
    job = workflow["jobs"]["check"]
    assert [step["run"] for step in job["steps"] if ".ci/run" in step.get("run", "")] == ["bash .ci/run"]
    entries = job["strategy"]["matrix"]["include"]
    assert [
        entry for entry in entries if entry["python"] == "3.11" and not entry["experimental"] and "torch" not in entry
    ]


def test_the_newest_pytorch_that_is_allowed_is_tested(metadata: ProjectMetadata[Any]) -> None:
    [allowed] = [each.specifier for each in map(Requirement, metadata.core.dependencies) if each.name == "torch"]
    entries = yaml.safe_load((GITHUB / "workflows/ci.yaml").read_text())["jobs"]["check"]["strategy"]["matrix"][
        "include"
    ]
    [tested] = [entry["torch"] for entry in entries if "torch" in entry]
    major, minor = map(int, tested.split("."))
    assert allowed.contains(f"{major}.{minor}.9")
    assert not allowed.contains(f"{major}.{minor + 1}.0")
    assert not allowed.contains(f"{major + 1}.0.0")


INSTALLER = ROOT / "deploy/install-torch.sh"


def installed_with(tmp_path: Path, status: int, **variables: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """What the installer of PyTorch prints with a pip that notes its arguments and exits so; and the arguments."""
    pip = tmp_path / "pip"
    pip.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\necho "pip is upset" >&2\nexit {status}\n')
    pip.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], **variables}
    result = subprocess.run([INSTALLER, pip], env=environment, capture_output=True, text=True, timeout=60)
    return result, (tmp_path / "arguments").read_text()


def test_pytorch_comes_from_its_own_index_of_cpu_builds(tmp_path: Path) -> None:
    result, arguments = installed_with(tmp_path, 0)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert "--index-url https://download.pytorch.org/whl/cpu torch torchvision" in arguments
    assert f"-c {INSTALLER.parent}/../constraints.txt" in arguments
    assert (
        "--index-url https://mirror.example/cpu"
        in installed_with(tmp_path, 0, TORCH_INDEX="https://mirror.example/cpu")[1]
    )


def test_where_its_index_is_out_of_reach_the_installation_goes_on_and_says_so(tmp_path: Path) -> None:
    result, arguments = installed_with(tmp_path, 1)
    assert result.returncode == 0
    assert result.stderr == (
        "No CPU build of PyTorch from https://download.pytorch.org/whl/cpu. "
        "pip's default follows, which on Linux may add gigabytes of CUDA.\n"
    )
    assert "--timeout 5 --retries 1" in arguments, "or it would wait for minutes"


@pytest.mark.parametrize("stamp", [".venv/.run", ".venv/.dev"])
def test_make_installs_pytorch_before_what_needs_it(stamp: str) -> None:
    commands = [command for command in recipe(stamp, "--always-make") if "pip" in command]
    assert ["install-torch.sh" in command for command in commands] == [True, False]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_do_little(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert set(workflow["permissions"].values()) <= {"read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), "a shell must not read what others write as a command"
            assert re.search(r"@(v\d+|release/v\d+|[0-9a-f]{40})$", step.get("uses", "@v0")), step["uses"]
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_nothing_is_published_before_everything_is_built() -> None:
    jobs = yaml.safe_load((GITHUB / "workflows/release.yaml").read_text())["jobs"]
    assert jobs["build"].get("needs") is None
    assert {"build", "attest", "image"} <= set(jobs["pypi"]["needs"])
    assert jobs["pypi"]["environment"]["name"] == "pypi"
    assert "pypi" in jobs["publish-image"]["needs"]
    assert "publish-image" in jobs["publish-release"]["needs"]


def recipe(target: str, option: str = "--old-file=.venv/.dev") -> list[str]:
    """The commands of a target of the Makefile."""
    environment = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    command = ["make", "--dry-run", "--no-print-directory", option, target]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


def test_hooks_of_git_are_the_checks_of_make_lint() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    targets = [hook["entry"].removeprefix("make ") for hook in repository["hooks"]]
    commands = [command for target in targets for command in recipe(target)]
    assert len(commands) > 3
    assert commands == recipe("lint")


def test_every_document_has_a_formatter() -> None:
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("only git knows which files are the project's")
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    formatted = {word for command in recipe("lint-markdown") for word in command.split() if word.endswith(".md")}
    assert set(listed.stdout.split()) - formatted == {"benchmarks/results/README.md"}  # generated


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A project whose version 1.2.0 is ready."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/notes", tmp_path / ".ci/notes")
    (tmp_path / "src/depthsvc").mkdir(parents=True)
    (tmp_path / "src/depthsvc/version.py").write_text('"""The version."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.2.0 - 2027-01-02\n\n- New.\n\n## 1.1.0 - 2027-01-01\n\n- Old.\n"
    )
    return tmp_path


def notes(project: Path, tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([project / ".ci/notes", tag], capture_output=True, text=True, timeout=60)


def test_notes_of_a_release_are_its_section_of_the_changelog(release: Path) -> None:
    result = notes(release, "v1.2.0")
    assert (result.returncode, result.stdout.strip()) == (0, "- New.")


def test_a_tag_that_is_not_the_version_is_refused(release: Path) -> None:
    result = notes(release, "v1.1.0")
    assert result.returncode == 1
    assert "The tag is v1.1.0, but src/depthsvc/version.py has 1.2.0" in result.stderr


@pytest.mark.parametrize(
    "changelog", ["## 1.1.0 - 2027-01-01\n\n- Old.\n", "## 1.2.0 - 2027-01-02\n\n## 1.1.0 - 2027-01-01\n"]
)
def test_a_version_of_which_the_changelog_tells_nothing_is_refused(release: Path, changelog: str) -> None:
    (release / "CHANGELOG.md").write_text(changelog)
    result = notes(release, "v1.2.0")
    assert result.returncode == 1
    assert "CHANGELOG.md has no section" in result.stderr


def test_a_version_under_development_is_not_released(release: Path) -> None:
    (release / "src/depthsvc/version.py").write_text('__version__ = "1.2.0.dev0"\n')
    assert notes(release, "v1.2.0.dev0").returncode == 1
