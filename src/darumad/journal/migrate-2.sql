-- From version 1 to 2: effects of tools, what is remembered of items that are gone, the
-- versions themselves, and budgets of agents and providers beside those of days and items.

CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    program TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE effect (
    key TEXT PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    stage TEXT NOT NULL,
    seq INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    idempotent INTEGER NOT NULL CHECK (idempotent IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('started', 'done', 'void')),
    output TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT;
CREATE INDEX effect_item ON effect (item);

CREATE TABLE idempotency (
    uid TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'dead', 'cancelled')),
    forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_due ON idempotency (forget_at);

DROP INDEX reservation_open;
ALTER TABLE reservation RENAME TO reservation_1;
CREATE TABLE reservation (
    id TEXT PRIMARY KEY,
    item TEXT NOT NULL,
    agent TEXT NOT NULL,
    provider TEXT NOT NULL,
    day TEXT NOT NULL,
    boot INTEGER NOT NULL,
    estimate INTEGER NOT NULL,
    estimated_tokens INTEGER NOT NULL,
    reserved_at INTEGER NOT NULL,
    settled_at INTEGER,
    nano_usd INTEGER,
    tokens INTEGER,
    calls INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX reservation_open ON reservation (boot) WHERE settled_at IS NULL;
INSERT INTO reservation
SELECT id, item, agent, provider, day, boot, estimate, 0, reserved_at, settled_at, nano_usd, tokens, calls
FROM reservation_1;
DROP TABLE reservation_1;

-- Every reservation is still there: what each budget holds is their sum.
DROP TABLE budget;
CREATE TABLE budget (
    scope TEXT NOT NULL,
    period TEXT NOT NULL,
    spent INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    reserved_calls INTEGER NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (scope, period)
) STRICT, WITHOUT ROWID;
INSERT INTO budget
SELECT scope, period,
    sum(iif(settled_at IS NULL, 0, coalesce(nano_usd, estimate))),
    sum(iif(settled_at IS NULL, 0, coalesce(tokens, 0))),
    sum(iif(settled_at IS NULL, 0, coalesce(calls, 1))),
    sum(iif(settled_at IS NULL, estimate, 0)), 0, sum(settled_at IS NULL), 0
FROM (
    SELECT 'item:' || item AS scope, 'ever' AS period, * FROM reservation
    UNION ALL SELECT 'agent:' || agent, day, * FROM reservation
    UNION ALL SELECT 'agent:' || agent, 'ever', * FROM reservation
    UNION ALL SELECT 'provider:' || provider, day, * FROM reservation
    UNION ALL SELECT 'provider:' || provider, 'ever', * FROM reservation
    UNION ALL SELECT 'all', day, * FROM reservation
    UNION ALL SELECT 'all', 'ever', * FROM reservation
)
GROUP BY scope, period;

DROP INDEX item_claim;
CREATE INDEX item_claim ON item (stage, agent, lane, fresh, rank, id) WHERE state = 'ready' AND suspect = 0;
CREATE INDEX item_lane ON item (lane)
    WHERE lane <> 'default' AND attempt > 0 AND state IN ('waiting', 'ready', 'scheduled', 'running', 'parked');
