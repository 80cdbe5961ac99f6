"""A peer that can't be measured says why."""

import sys
from pathlib import Path

import pytest
from load.bench.peer_servers import PEERS, Peer, PeerUnavailableError, last_words


def peer(program: str) -> Peer:
    """Make a peer whose server is a line of Python."""
    return Peer(
        name="other",
        requirements="mlflow.txt",
        program="mlflow_caller.py",
        command=("-c", program),
        health="/health",
        variables={"PORT": "{port}", "PLACE": "{folder}"},
        rows={"server": "Other, from its server"},
    )


def test_a_server_that_ends_is_unavailable_with_its_last_words(tmp_path: Path) -> None:
    """The reason stands in the table, in place of figures."""
    broken = peer("raise SystemExit('no database')")
    with (
        pytest.raises(PeerUnavailableError, match=r"^its server does not start: no database$"),
        broken.serving(Path(sys.executable), tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "warning\nERROR: No matching distribution: mlflow==1\n",
            "ERROR: No matching distribution: mlflow==1",
        ),
        ("no such file: /home/somebody/database", "no such file: ..."),
        ("Pool(host='index.example', port=443): Max retries", "... port=443): Max retries"),
        ("see https://index.example/simple", "see ..."),
    ],
)
def test_last_words_tell_of_no_place(said: str, shown: str) -> None:
    """They may stand in a document: neither a path nor a host of the machine goes there."""
    assert shown == last_words(said)


def test_a_peer_has_its_own_folder_and_tells_nobody(tmp_path: Path) -> None:
    """Its home is the folder of the run, and what it is told asks it not to track."""
    told = peer("").environment(tmp_path, port=1234)
    assert (str(tmp_path), str(tmp_path), "1234", "1") == (
        told["HOME"],
        told["PLACE"],
        told["PORT"],
        told["DO_NOT_TRACK"],
    )


@pytest.mark.parametrize("product", PEERS, ids=lambda product: product.name)
def test_every_peer_is_pinned(product: Peer) -> None:
    """The same versions are measured everywhere."""
    name, _, version = product.version.partition(" ")
    assert (True, True) == (bool(name), version[0].isdigit())
