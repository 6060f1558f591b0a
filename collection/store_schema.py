"""The store's tables, as a list of migrations: a file of version n has had the first n applied."""

from __future__ import annotations

FIRST = """
CREATE TABLE file (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, content TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX file_content ON file (content);
CREATE TABLE image (
    content TEXT PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL,
    positive TEXT NOT NULL, negative TEXT NOT NULL, seed TEXT NOT NULL, sampler TEXT NOT NULL, model TEXT NOT NULL,
    source TEXT NOT NULL, notes TEXT NOT NULL
);
CREATE TABLE labels (
    fingerprint TEXT PRIMARY KEY, model TEXT NOT NULL, names TEXT NOT NULL, groups TEXT NOT NULL, ranges TEXT NOT NULL
);
CREATE TABLE prediction (
    content TEXT NOT NULL, fingerprint TEXT NOT NULL, model TEXT NOT NULL, tolerance REAL NOT NULL, value BLOB NOT NULL,
    label TEXT NOT NULL, margin REAL NOT NULL, time REAL NOT NULL, PRIMARY KEY (content, fingerprint, tolerance)
);
CREATE TABLE verdict (
    content TEXT NOT NULL, basis TEXT NOT NULL, gate TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    error TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (content, basis)
);
CREATE TABLE thumbnail (content TEXT PRIMARY KEY, data TEXT NOT NULL);
"""

LABELS = """
CREATE TABLE label (
    id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL, mark TEXT NOT NULL, source TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE INDEX label_content ON label (content);
"""

READERS = "ALTER TABLE image ADD COLUMN reader INTEGER NOT NULL DEFAULT 1;"
"""The version of the reader that an image's metadata was read with."""

DRIFTS = "ALTER TABLE labels ADD COLUMN drifts TEXT NOT NULL DEFAULT '[]';"
"""How far `fast` may move the numbers of each group; predictions from before have tolerances between 0 and 1."""

UNJUDGED = """
ALTER TABLE verdict ADD COLUMN unjudged TEXT NOT NULL DEFAULT '[]';
ALTER TABLE verdict ADD COLUMN final INTEGER NOT NULL DEFAULT 1;
UPDATE verdict SET final = 0 WHERE outcome = 'review' AND error = '';
CREATE INDEX verdict_open ON verdict (content) WHERE final = 0;
"""
"""Whether an image was judged at all. What went to review before this was known is looked at once more."""

TWINS = """
ALTER TABLE image ADD COLUMN quality INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verdict ADD COLUMN duplicate_of TEXT NOT NULL DEFAULT '';
"""
"""What decides between near-duplicates, and the one on which a verdict depends."""

MIGRATIONS: tuple[str, ...] = (FIRST, LABELS, READERS, DRIFTS, UNJUDGED, TWINS)
"""Statements end in ";" and contain no other."""
