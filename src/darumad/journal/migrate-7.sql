-- From version 6 to 7: sub-work.

CREATE TABLE child (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    parent INTEGER REFERENCES item (id) ON DELETE SET NULL,
    depth INTEGER NOT NULL CHECK (depth BETWEEN 1 AND 3),
    place INTEGER NOT NULL
) STRICT;
CREATE INDEX child_parent ON child (parent);
CREATE INDEX child_place ON child (place);
