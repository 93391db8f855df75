-- From version 7 to 8: under which settings and definitions a life of the daemon ran, and by which id a caller of other
-- systems knows an item.

ALTER TABLE boot ADD COLUMN settings TEXT;
ALTER TABLE boot ADD COLUMN definitions TEXT NOT NULL DEFAULT '{}';
ALTER TABLE payload ADD COLUMN correlation TEXT;

DROP VIEW record;
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
