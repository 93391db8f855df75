-- From version 4 to 5: what an item requires of its agent, and whom nobody claims while its agent lacks it.

ALTER TABLE item ADD COLUMN lacking INTEGER NOT NULL DEFAULT 0 CHECK (lacking IN (0, 1));

DROP INDEX item_claim;
CREATE INDEX item_claim ON item (stage, agent, lane, fresh, rank, id)
    WHERE state = 'ready' AND suspect = 0 AND lacking = 0;

CREATE TABLE requires (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    capability TEXT NOT NULL,
    PRIMARY KEY (item, capability)
) STRICT, WITHOUT ROWID;
