-- From version 3 to 4: what the model was asked is kept with the steps.

CREATE TABLE prompt (
    item INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    stage TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT,
    PRIMARY KEY (item, attempt, stage, seq),
    FOREIGN KEY (item, attempt, stage, seq) REFERENCES step (item, attempt, stage, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
