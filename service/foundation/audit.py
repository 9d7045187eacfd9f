"""The append-only log of every state change and every sensitive read, as an RFC 6962 Merkle tree.

An entry is written in the transaction of the change it tells of, so neither exists without the other (invariant I7).
The leaf commits to the body by HMAC with a salt kept beside the body: erasing body and salt leaves the proof valid and
reveals nothing. Checkpoints are C2SP signed notes (origin, size, root) under the installation's Ed25519 key; whoever
keeps one elsewhere can prove later that nothing before it was changed. policy: AC10, RE1.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, text
from sqlmodel import Field, SQLModel, col, func, insert, select
from sqlmodel.ext.asyncio.session import AsyncSession

from service.foundation import keys
from service.foundation.events import Actor, Event

ORIGIN = "chaperone/audit"
CHECKPOINT_EVERY = 256


class AuditLeaf(SQLModel, table=True):
    """One entry's header. Append-only: the database refuses to change or delete it."""

    __tablename__ = "audit_leaf"
    seq: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    school_id: str = Field(index=True, max_length=32)
    at: str = Field(max_length=32)
    kind: str = Field(index=True, max_length=60)
    actor_id: str = Field(index=True, max_length=32)
    subject_id: str = Field(index=True, max_length=64)
    lesson_id: str = Field(index=True, max_length=32)
    body_commit: str = Field(max_length=64)


class AuditBody(SQLModel, table=True):
    """What the entry says. Erasable, with its salt, without harming the proof."""

    __tablename__ = "audit_body"
    seq: int = Field(primary_key=True, foreign_key="audit_leaf.seq", sa_column_kwargs={"autoincrement": False})
    school_id: str = Field(index=True, max_length=32)
    salt: str = Field(max_length=64)
    body: str


class AuditNode(SQLModel, table=True):
    """The hash of one complete subtree of 2**level leaves."""

    __tablename__ = "audit_node"
    level: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    hash: str = Field(max_length=64)


class AuditCheckpoint(SQLModel, table=True):
    __tablename__ = "audit_checkpoint"
    size: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    note: str


def leaf_hash(header: dict[str, Any]) -> bytes:
    """RFC 6962 section 2.1, over RFC 8785 canonical JSON."""
    return hashlib.sha256(b"\0" + rfc8785.dumps(header)).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The complete subtrees at a growing tree's right edge: all that is needed to say its root at any size."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, node: bytes) -> None:
        level = 0
        while self._peaks and self._peaks[-1][0] == level:
            node = node_hash(self._peaks.pop()[1], node)
            level += 1
        self._peaks.append((level, node))
        self.size += 1

    def root(self) -> bytes:
        return _fold(peak for _, peak in reversed(self._peaks))


def root_hash(leaves: Iterable[bytes]) -> bytes:
    """The tree head over `leaves`, from nothing but the leaves."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


def _fold(peaks: Iterable[bytes]) -> bytes:
    """One root from the complete subtrees, the smallest (rightmost) first."""
    root: bytes | None = None
    for peak in peaks:
        root = peak if root is None else node_hash(peak, root)
    return hashlib.sha256(b"").digest() if root is None else root


def body_commit(salt: str, body: str) -> str:
    return hmac.new(bytes.fromhex(salt), body.encode(), hashlib.sha256).hexdigest()


def header_of(leaf: AuditLeaf) -> dict[str, Any]:
    """The canonical header that the leaf hash covers."""
    return {
        "v": 1, "seq": leaf.seq, "school": leaf.school_id, "at": leaf.at, "kind": leaf.kind, "actor": leaf.actor_id,
        "subject": leaf.subject_id, "lesson": leaf.lesson_id, "body": leaf.body_commit,
    }


_LEAF, _BODY, _NODE = insert(AuditLeaf), insert(AuditBody), insert(AuditNode)


async def append(session: AsyncSession, event: Event, actor: Actor) -> int:
    """Write `event` into the log inside the caller's transaction. Returns its sequence number.

    Everybody who writes waits for this, so it asks the database no more often than it must.
    """
    await session.flush()
    seq, edge = await _edge(session)
    body = rfc8785.dumps(_plain(asdict(event))).decode()
    salt = secrets.token_hex(32)
    leaf = AuditLeaf(
        seq=seq, school_id=actor.school_id, at=_stamp(session.info["clock"].now()), kind=event.kind,
        actor_id=actor.person_id, subject_id=event.subject_id, lesson_id=getattr(event, "lesson_id", None) or "",
        body_commit=body_commit(salt, body),
    )
    nodes = list(_grown(seq, leaf_hash(header_of(leaf)), edge))

    def write(connection: Connection) -> None:
        connection.execute(_LEAF, leaf.model_dump())
        connection.execute(_BODY, {"seq": seq, "school_id": actor.school_id, "salt": salt, "body": body})
        connection.execute(_NODE, nodes)

    await (await session.connection()).run_sync(write)
    if (seq + 1) % CHECKPOINT_EVERY == 0:
        await checkpoint(session)
    return seq


EDGE = text(f"""
WITH tree (size) AS (SELECT CAST(coalesce(max(seq), -1) + 1 AS BIGINT) FROM audit_leaf),
     step (level) AS (VALUES {", ".join(f"({level})" for level in range(48))})
SELECT tree.size, node.level, node.hash FROM tree CROSS JOIN step
LEFT JOIN audit_node AS node ON node.level = step.level AND node.position = (tree.size >> step.level) - 1
""")


async def _edge(session: AsyncSession) -> tuple[int, dict[int, bytes]]:
    """How many entries there are, and the hash of the last complete subtree of each level, in one look."""
    rows = (await (await session.connection()).execute(EDGE)).all()
    return rows[0][0], {level: bytes.fromhex(node) for _size, level, node in rows if node is not None}


def _grown(seq: int, node: bytes, edge: dict[int, bytes]) -> Iterator[dict[str, object]]:
    """The subtrees that the entry `seq` completes: its own leaf, and each that now has both halves."""
    level, position = 0, seq
    yield {"level": level, "position": position, "hash": node.hex()}
    while position % 2:
        node = node_hash(edge[level], node)
        level, position = level + 1, position // 2
        yield {"level": level, "position": position, "hash": node.hex()}


async def checkpoint(session: AsyncSession) -> str | None:
    """Sign the tree as it stands. Returns the note, or None when nothing was added since the last."""
    size, edge = await _edge(session)
    last = (await session.exec(select(func.max(AuditCheckpoint.size)))).one() or 0
    if size == last:
        return None
    root = _fold(edge[level] for level in range(size.bit_length()) if size >> level & 1)
    note = sign_note(session.info["signing_key"], size, root)
    session.add(AuditCheckpoint(size=size, note=note))
    return note


def sign_note(key: Ed25519PrivateKey, size: int, root: bytes) -> str:
    """A C2SP tlog-checkpoint: three lines of text, an empty line, one signature line."""
    body = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
    public = key.public_key().public_bytes_raw()
    signature = _key_id(public) + key.sign(body.encode())
    return f"{body}\n— {ORIGIN} {base64.b64encode(signature).decode()}\n"


def read_note(note: str, public: Ed25519PublicKey) -> tuple[int, bytes]:
    """(size, root) of a signed note. Raises ValueError when it is malformed or not signed by `public`."""
    try:
        body, signatures = note.split("\n\n")
        origin, size, root = body.split("\n")
        _dash, name, encoded = signatures.strip().split(" ")
        signature = base64.b64decode(encoded, validate=True)
        if origin != ORIGIN or name != ORIGIN or signature[:4] != _key_id(public.public_bytes_raw()):
            raise ValueError("a checkpoint of another log or key")
        public.verify(signature[4:], (body + "\n").encode())
        return int(size), base64.b64decode(root, validate=True)
    except (ValueError, InvalidSignature) as error:
        raise ValueError(f"the checkpoint does not verify: {error}") from error


def _key_id(public: bytes) -> bytes:
    return hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]


def signing_key(folder: Path) -> Ed25519PrivateKey:
    """The key that signs checkpoints."""
    return keys.ed25519(folder, "signing")


async def verify(session: AsyncSession, public: Ed25519PublicKey, kept: str | None = None) -> list[str]:
    """Everything wrong with the log, in plain words; empty when it proves itself. Needs only the database and the key.

    `kept`: a checkpoint that somebody kept elsewhere; it also shows what was cut off or forked since.
    """
    faults: list[str] = []
    notes = (await session.exec(select(AuditCheckpoint))).all()
    signed = {row.size: _head(row.note, public, row.size, faults) for row in notes}
    if kept:
        kept_size, kept_root = read_note(kept, public)
        if signed.get(kept_size, kept_root) != kept_root:
            faults.append(f"the log forked: its checkpoint of {kept_size} entries is not the one kept elsewhere")
        signed[kept_size] = kept_root
    roots = await _roots(session, set(signed), faults)
    for size, root in sorted(signed.items()):
        if root is not None and roots.get(size) != root:
            faults.append(f"entries before {size} were changed, reordered or removed")
    return faults


async def _roots(session: AsyncSession, sizes: set[int], faults: list[str]) -> dict[int, bytes]:
    """The root at each of `sizes`, recomputed from the stored entries; notes changed words and missing entries."""
    frontier, roots = Frontier(), {}
    rows = await session.exec(
        select(AuditLeaf, AuditBody).join(AuditBody, col(AuditBody.seq) == AuditLeaf.seq, isouter=True)
        .order_by(col(AuditLeaf.seq))
    )
    for leaf, body in rows:
        if leaf.seq != frontier.size:
            faults.append(f"entry {frontier.size} is missing")
            break
        if body is not None and body_commit(body.salt, body.body) != leaf.body_commit:
            faults.append(f"the words of entry {leaf.seq} were changed")
        frontier.add(leaf_hash(header_of(leaf)))
        if frontier.size in sizes:
            roots[frontier.size] = frontier.root()
    return roots


def _head(note: str, public: Ed25519PublicKey, size: int, faults: list[str]) -> bytes | None:
    try:
        claimed, root = read_note(note, public)
    except ValueError as error:
        faults.append(f"checkpoint {size}: {error}")
        return None
    if claimed != size:
        faults.append(f"checkpoint {size} is about {claimed} entries")
    return root


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    """What canonical JSON can carry: times as RFC 3339, sets and tuples as lists."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, datetime):
        return _stamp(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)
