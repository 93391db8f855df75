-- The journal's tables, version 10. Small hot rows; payloads, steps and results apart. Times are integer milliseconds
-- given by the clock, never by SQL; money is integer nano-USD. The triggers guard what the code must never do. What is
-- looked at with each change of an item names its words one by one: for an IN of three words or more SQLite makes a
-- table, once a statement in a constraint and once a row in a trigger, and that costs more than the change itself.

CREATE TABLE identity (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    uuid TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Which versions of these tables the file has had, and since when.
CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    program TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- `settings` is the digest of the settings that it was started with, `definitions` {agent: digest of its definition}.
CREATE TABLE boot (
    boot INTEGER PRIMARY KEY,
    node TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    stopped_at INTEGER,
    rescued INTEGER NOT NULL DEFAULT 0,
    settings TEXT,
    definitions TEXT NOT NULL DEFAULT '{}'
) STRICT;

-- `lives`: lives of the daemon in a row that ended under this item without a new step. `lineage`: which fresh
-- workspace it works in. `fresh`: its next claim begins its walk. `lacking`: its agent lacks what it requires, as each boot
-- finds anew, and nobody claims it. `resources_version`: which state of its template its last attempt was executed with;
-- that of an earlier one stands with that.
CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    phase TEXT NOT NULL,
    lane TEXT NOT NULL,
    first_stage TEXT NOT NULL,
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 10),
    state TEXT NOT NULL
        CHECK (state = 'ready' OR state = 'running' OR state = 'succeeded' OR state = 'waiting' OR state = 'scheduled'
            OR state = 'parked' OR state = 'dead' OR state = 'cancelled'),
    stage TEXT NOT NULL
        CHECK (stage = 'executing' OR stage = 'reviewing' OR stage = 'optimizing' OR stage = 'planning'),
    reason TEXT,
    rank INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    attempt_open INTEGER NOT NULL DEFAULT 0 CHECK (attempt_open IN (0, 1)),
    boot INTEGER,
    holder TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    lives INTEGER NOT NULL DEFAULT 0,
    suspect INTEGER NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1)),
    delays INTEGER NOT NULL DEFAULT 0,
    parks INTEGER NOT NULL DEFAULT 0,
    reviews INTEGER NOT NULL DEFAULT 0,
    lineage INTEGER NOT NULL DEFAULT 0,
    run_at INTEGER,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    ready_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    error TEXT,
    fresh INTEGER NOT NULL GENERATED ALWAYS AS (attempt_open = 0 AND stage = first_stage) VIRTUAL,
    lacking INTEGER NOT NULL DEFAULT 0 CHECK (lacking IN (0, 1)),
    resources_version TEXT,
    CHECK ((state = 'running') = (holder IS NOT NULL)),
    CHECK ((holder IS NULL) = (boot IS NULL)),
    CHECK (state <> 'running' OR attempt_open = 1),
    CHECK (state <> 'scheduled' OR run_at IS NOT NULL),
    CHECK (state <> 'parked' OR reason IS NOT NULL),
    CHECK (state <> 'ready' OR ready_at IS NOT NULL),
    CHECK ((state = 'succeeded' OR state = 'dead' OR state = 'cancelled') = (finished_at IS NOT NULL))
) STRICT;

-- A claim is one range read per stage and definition; suspects, who are claimed one at a time, stand apart.
CREATE INDEX item_claim ON item (stage, agent, lane, fresh, rank, id)
    WHERE state = 'ready' AND suspect = 0 AND lacking = 0;
CREATE INDEX item_suspect ON item (stage, agent, rank, id) WHERE state = 'ready' AND suspect = 1;
CREATE INDEX item_due ON item (run_at) WHERE state = 'scheduled';
CREATE INDEX item_expiry ON item (expires_at) WHERE expires_at IS NOT NULL AND finished_at IS NULL;
CREATE INDEX item_oldest ON item (ready_at) WHERE state = 'ready';
CREATE INDEX item_state ON item (state);
-- Who is under way in a lane of its own: nobody in the lane that has no limits is in it.
CREATE INDEX item_lane ON item (lane) WHERE lane <> 'default' AND attempt > 0 AND finished_at IS NULL;

CREATE TABLE payload (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    digest TEXT NOT NULL,
    origin TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    correlation TEXT
) STRICT;

-- What was asked back, answered and found fault with; only for items that have any of it.
CREATE TABLE correspondence (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    questions TEXT NOT NULL DEFAULT '[]',
    answers TEXT NOT NULL DEFAULT '[]',
    feedback TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE TABLE label (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (item, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX label_value ON label (key, value, item);

-- Who belongs to a conversation, and what each of its items that succeeded asked and was answered. `ended` is the
-- position at which it did, `seen` the one up to which its own attempt is shown what others said.
CREATE TABLE exchange (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    conversation TEXT NOT NULL,
    seen INTEGER,
    ended INTEGER,
    asked TEXT,
    answered TEXT
) STRICT;
CREATE INDEX exchange_ended ON exchange (conversation, ended);

-- What an item's agent must offer; only for items that require anything.
CREATE TABLE requires (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    capability TEXT NOT NULL,
    PRIMARY KEY (item, capability)
) STRICT, WITHOUT ROWID;

-- Sub-work: whose, how many levels below an item that is nobody's, and whose place it shares in its lane; its own, where
-- its parent queues in another, or is a goal that is planned.
CREATE TABLE child (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    parent INTEGER REFERENCES item (id) ON DELETE SET NULL,
    depth INTEGER NOT NULL CHECK (depth BETWEEN 1 AND 3),
    place INTEGER NOT NULL
) STRICT;
CREATE INDEX child_parent ON child (parent);
CREATE INDEX child_place ON child (place);

-- What is remembered of an item that is gone: its id stays taken, and what depends on it learns how it ended.
CREATE TABLE idempotency (
    uid TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'dead', 'cancelled')),
    forget_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_due ON idempotency (forget_at);

CREATE TABLE dependency (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    needs INTEGER NOT NULL REFERENCES item (id),
    PRIMARY KEY (item, needs)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_needs ON dependency (needs, item);

CREATE TABLE attempt (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    error TEXT,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    nano_usd INTEGER DEFAULT 0,
    resources_version TEXT,
    PRIMARY KEY (item, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    fence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    holder TEXT NOT NULL,
    stage TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    ended_at INTEGER,
    why TEXT,
    PRIMARY KEY (item, fence)
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    stage TEXT NOT NULL,
    seq INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    input_digest TEXT NOT NULL,
    output TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (item, attempt, stage, seq)
) STRICT;

-- What the model was asked in a step, beyond what it was asked in the step before; NULL where it was not asked.
CREATE TABLE prompt (
    item INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    stage TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT,
    PRIMARY KEY (item, attempt, stage, seq),
    FOREIGN KEY (item, attempt, stage, seq) REFERENCES step (item, attempt, stage, seq) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What a tool did outside the house, where no rollback reaches. Written as started before it is done; found so after a
-- crash, nobody knows whether it was. `void`: it is known that nothing was done, or somebody said to do it again.
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

-- What a finished stage made: the brief, the work, the review.
CREATE TABLE output (
    item INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    stage TEXT NOT NULL,
    fence INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (item, attempt, stage)
) STRICT;

CREATE TABLE result (
    item INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE,
    fence INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX event_subject ON event (subject);

-- A reservation is settled once. Until then `nano_usd` is what is estimated; it is NULL where no price is known, and the
-- estimate is booked. `fence` is the claim that the call is made under, and with it the attempt; before version 10 of these
-- tables it was not told.
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
    calls INTEGER,
    fence INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX reservation_open ON reservation (boot) WHERE settled_at IS NULL;

-- `scope` is `all`, `agent:NAME`, `provider:NAME` or `item:ID`, `period` a day or `ever`; `spent` and `reserved` are
-- nano-USD. `told`: 0 nothing, 1 that it is nearly spent, 2 that it is exhausted.
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

-- Each row carries the hash of the one before it, so a row that was taken out or altered shows.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    via TEXT NOT NULL,
    by TEXT NOT NULL,
    pid INTEGER NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    request_id TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One item as the house above reads it.
CREATE VIEW record AS
    SELECT item.id, item.uid, payload.body, payload.sha256, item.state, item.stage, item.reason, item.rank, item.fence,
        item.attempt, item.attempt_open, item.boot, item.holder, item.failures, item.crashes, item.suspect,
        item.delays, item.parks, item.reviews, item.run_at, item.expires_at, item.created_at, item.ready_at,
        item.started_at, item.finished_at, item.error, payload.origin, payload.submitted_by,
        correspondence.questions, correspondence.answers, correspondence.feedback, item.lineage, item.agent,
        payload.correlation
    FROM item
    JOIN payload ON payload.item = item.id
    LEFT JOIN correspondence ON correspondence.item = item.id;

-- After the fact, both: a BEFORE trigger makes SQLite look up the row once more, and each is a program to start.
CREATE TRIGGER item_begins AFTER INSERT ON item
WHEN NOT (NEW.state = 'ready' OR NEW.state = 'waiting' OR NEW.state = 'scheduled' OR NEW.state = 'parked')
BEGIN
    SELECT RAISE(ABORT, 'an item cannot begin in this state');
END;

CREATE TRIGGER item_changes AFTER UPDATE OF state, fence ON item
WHEN NEW.state <> OLD.state OR NEW.fence < OLD.fence
BEGIN
    SELECT CASE
        WHEN NEW.fence < OLD.fence THEN RAISE(ABORT, 'a fence never goes back')
        WHEN NEW.state <> OLD.state AND NOT CASE OLD.state
            WHEN 'ready' THEN NEW.state = 'running' OR NEW.state = 'scheduled' OR NEW.state = 'parked'
                OR NEW.state = 'dead' OR NEW.state = 'cancelled'
            WHEN 'running' THEN NEW.state = 'succeeded' OR NEW.state = 'ready' OR NEW.state = 'scheduled'
                OR NEW.state = 'parked' OR NEW.state = 'dead' OR NEW.state = 'cancelled'
            WHEN 'waiting' THEN NEW.state = 'ready' OR NEW.state = 'scheduled' OR NEW.state = 'parked'
                OR NEW.state = 'dead' OR NEW.state = 'cancelled'
            WHEN 'scheduled' THEN NEW.state = 'ready' OR NEW.state = 'parked' OR NEW.state = 'dead'
                OR NEW.state = 'cancelled'
            WHEN 'parked' THEN NEW.state = 'ready' OR NEW.state = 'scheduled' OR NEW.state = 'dead'
                OR NEW.state = 'cancelled'
            WHEN 'dead' THEN NEW.state = 'ready' OR NEW.state = 'waiting' OR NEW.state = 'cancelled'
            ELSE 0
        END THEN RAISE(ABORT, 'the state table does not lead there')
        WHEN NEW.state = 'running' AND NEW.fence <= OLD.fence THEN RAISE(ABORT, 'a claim raises the fence')
        WHEN NEW.state = 'succeeded'
            AND NOT EXISTS (SELECT 1 FROM result WHERE result.item = NEW.id AND result.fence = NEW.fence)
            THEN RAISE(ABORT, 'success needs a result of the same fence')
    END;
END;

CREATE TRIGGER result_stands BEFORE UPDATE ON result
BEGIN
    SELECT RAISE(ABORT, 'a result never changes');
END;

CREATE TRIGGER result_stays BEFORE DELETE ON result
WHEN EXISTS (SELECT 1 FROM item WHERE item.id = OLD.item)
BEGIN
    SELECT RAISE(ABORT, 'a result goes only with its item');
END;
