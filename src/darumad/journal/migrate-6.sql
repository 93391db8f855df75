-- From version 5 to 6: conversations.

CREATE TABLE exchange (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    conversation TEXT NOT NULL,
    seen INTEGER,
    ended INTEGER,
    asked TEXT,
    answered TEXT
) STRICT;
CREATE INDEX exchange_ended ON exchange (conversation, ended);
