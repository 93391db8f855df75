-- The journal's statements. One kind of request is one statement, however many of it a batch holds, for a statement per
-- row would hand over the interpreter's lock at every row. What is asked comes in as a table: `VALUES :rows` is as many
-- bound rows as there are, the last ones NULL; plain lists of ids come in as a JSON array, `:asked`. A `+` before a column
-- keeps the planner from starting at that column's index instead of at what was asked.

-- === accepting =====================================================================================================

-- name: known_items
-- What the journal holds of these ids, named as items, as parents or as dependencies, and how far down each is; of those
-- that are gone, how they ended.
SELECT item.uid, item.id, payload.digest, item.state, coalesce((SELECT depth FROM child WHERE child.item = item.id), 0)
FROM json_each(:asked) AS asked
JOIN item ON item.uid = asked.value
JOIN payload ON payload.item = item.id
UNION ALL
SELECT idempotency.uid, NULL, idempotency.digest, idempotency.outcome, 0
FROM json_each(:asked) AS asked
JOIN idempotency ON idempotency.uid = asked.value;

-- name: accept_items
-- [id, uid, ...]; the writer numbers them, for it alone writes.
WITH asked(id, uid, agent, phase, lane, stage, priority, state, reason, rank, run_at, expires_at,
    ready_at) AS (VALUES :rows)
INSERT INTO item (id, uid, agent, phase, lane, first_stage, stage, priority, state, reason, rank, run_at, expires_at,
    created_at, ready_at)
SELECT id, uid, agent, phase, lane, stage, stage, priority, state, reason, rank, run_at, expires_at, :now, ready_at
FROM asked WHERE id IS NOT NULL;

-- name: accept_payloads
WITH asked(item, body, sha256, digest, origin, submitted_by, correlation) AS (VALUES :rows)
INSERT INTO payload (item, body, sha256, digest, origin, submitted_by, correlation)
SELECT item, body, sha256, digest, origin, submitted_by, correlation
FROM asked WHERE item IS NOT NULL;

-- name: accept_labels
WITH asked(item, key, value) AS (VALUES :rows)
INSERT INTO label (item, key, value)
SELECT item, key, value
FROM asked WHERE item IS NOT NULL;

-- name: accept_exchanges
WITH asked(item, conversation) AS (VALUES :rows)
INSERT INTO exchange (item, conversation)
SELECT item, conversation
FROM asked WHERE item IS NOT NULL;

-- name: accept_requires
WITH asked(item, capability) AS (VALUES :rows)
INSERT INTO requires (item, capability)
SELECT item, capability
FROM asked WHERE item IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: accept_children
-- [item, parent, depth], of one depth: those above are there before. A goal that is planned waits for none of them.
WITH asked(item, parent, depth) AS (VALUES :rows)
INSERT INTO child (item, parent, depth, place)
SELECT asked.item, asked.parent, asked.depth,
    CASE WHEN mine.lane = above.lane AND above.stage <> 'planning' THEN coalesce(
        (SELECT child.place FROM child WHERE child.item = above.id), above.id) ELSE mine.id END
FROM asked
CROSS JOIN item AS mine ON mine.id = asked.item
CROSS JOIN item AS above ON above.id = asked.parent;

-- name: accept_dependencies
WITH asked(item, needs) AS (VALUES :rows)
INSERT INTO dependency (item, needs)
SELECT item, needs
FROM asked WHERE item IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: correspond
-- Questions stand in place of earlier ones; answers and feedback are appended.
WITH asked(item, questions, answers, feedback) AS (VALUES :rows)
INSERT INTO correspondence (item, questions, answers, feedback)
SELECT item, questions, answers, feedback
FROM asked WHERE item IS NOT NULL
ON CONFLICT (item) DO UPDATE SET
    questions = CASE excluded.questions WHEN '[]' THEN correspondence.questions ELSE excluded.questions END,
    answers = (SELECT json_group_array(value) FROM (
        SELECT value FROM json_each(correspondence.answers) UNION ALL SELECT value FROM json_each(excluded.answers))),
    feedback = (SELECT json_group_array(json(value)) FROM (
        SELECT value FROM json_each(correspondence.feedback)
        UNION ALL SELECT value FROM json_each(excluded.feedback)));

-- === claiming ======================================================================================================

-- name: ranges_of_ready
-- Which ranges the claim's index has in these stages: one JSON array of [stage, agent, lane]. One seek a range, however
-- long it is.
WITH RECURSIVE range(stage, id) AS (
    SELECT value, (
        SELECT id FROM item WHERE state = 'ready' AND suspect = 0 AND lacking = 0 AND stage = asked.value
        ORDER BY agent, lane LIMIT 1)
    FROM json_each(:asked) AS asked
    UNION ALL
    SELECT range.stage, coalesce((
        SELECT next.id FROM item AS next WHERE next.state = 'ready' AND next.suspect = 0 AND next.lacking = 0
            AND next.stage = range.stage AND next.agent = here.agent AND next.lane > here.lane
        ORDER BY next.lane LIMIT 1
    ), (
        SELECT next.id FROM item AS next WHERE next.state = 'ready' AND next.suspect = 0 AND next.lacking = 0
            AND next.stage = range.stage AND next.agent > here.agent
        ORDER BY next.agent, next.lane LIMIT 1
    ))
    FROM range JOIN item AS here ON here.id = range.id
)
SELECT json_group_array(json_array(here.stage, here.agent, here.lane))
FROM range CROSS JOIN item AS here ON here.id = range.id;

-- name: best_of_ranges
-- The `:most` best of each range [stage, agent, lane, fresh], as one JSON array in the order asked; of each item its
-- rank, id, whether its attempt is open, whether it was ever claimed, when it expires, and how often it was put off.
WITH range(stage, agent, lane, fresh) AS (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]')
    FROM json_each(:asked)
)
SELECT json_group_array((
    SELECT json_group_array(json_array(rank, id, attempt_open, attempt > 0, expires_at, delays)) FROM (
        SELECT next.rank, next.id, next.attempt_open, next.attempt, next.expires_at, next.delays FROM item AS next
        WHERE next.state = 'ready' AND next.suspect = 0 AND next.lacking = 0 AND next.stage = range.stage
            AND next.agent = range.agent AND next.lane = range.lane AND next.fresh = range.fresh
        ORDER BY next.rank, next.id LIMIT :most)))
FROM range;

-- name: under_way
-- How many items of each definition run.
SELECT agent, count(*) FROM item INDEXED BY item_state WHERE state = 'running' GROUP BY agent;

-- name: under_way_in_lanes
-- Whoever has a place in one of these lanes: those at work first, then those who were, then the retried. Of each, which
-- place, and whether it may be shared.
SELECT item.rank, item.id, item.attempt_open, 1, NULL, item.delays, item.stage, item.agent, item.lane, item.fresh,
    coalesce(child.place, item.id),
    EXISTS (SELECT 1 FROM child AS other WHERE other.place = coalesce(child.place, item.id)),
    item.state = 'ready' AND suspect = 0 AND lacking = 0 AND (item.expires_at IS NULL OR item.expires_at > :now)
FROM json_each(:asked) AS asked
CROSS JOIN item INDEXED BY item_lane ON item.lane = asked.value
LEFT JOIN child ON child.item = item.id
WHERE item.lane <> 'default' AND item.attempt > 0 AND item.finished_at IS NULL
ORDER BY item.lane, item.state = 'ready', item.attempt_open DESC, item.rank, item.id;

-- name: family_in_places
-- Who shares one of these places and has not begun: a parent, a child, its sibling.
WITH member(id) AS (
    SELECT value FROM json_each(:asked)
    UNION ALL SELECT child.item FROM json_each(:asked) AS asked CROSS JOIN child ON child.place = asked.value
)
SELECT item.rank, item.id, item.attempt_open, 1, NULL, item.delays, item.stage, item.agent, item.lane, item.fresh
FROM member
CROSS JOIN item ON item.id = member.id
WHERE item.state = 'ready' AND item.suspect = 0 AND item.lacking = 0 AND item.attempt = 0
    AND (item.expires_at IS NULL OR item.expires_at > :now)
ORDER BY item.rank, item.id;

-- name: in_lane
-- Who has a place in one lane, for people: of those that share one the first, and the first so many of them.
SELECT uid, state, reason, min(item.id) FROM item INDEXED BY item_lane
LEFT JOIN child ON child.item = item.id
WHERE lane = :lane AND lane <> 'default' AND attempt > 0 AND finished_at IS NULL
GROUP BY coalesce(child.place, item.id)
ORDER BY item.id LIMIT :most;

-- name: suspects
-- The ready items that are to run alone.
SELECT uid FROM item INDEXED BY item_suspect WHERE state = 'ready' AND suspect = 1 ORDER BY rank, id;

-- name: of_suspects
-- The definitions that they belong to.
SELECT DISTINCT agent FROM item INDEXED BY item_suspect WHERE state = 'ready' AND suspect = 1 AND lacking = 0;

-- name: alike
-- What waits for the same: of each the first, how many there are, and since when that one waits. Of one that is parked or
-- put off that is when it was last told of, for nothing happens to it meanwhile.
SELECT uid, those, CASE state WHEN 'ready' THEN since ELSE coalesce(
    (SELECT max(at) FROM event WHERE subject = uid), since) END
FROM (
    SELECT uid, state, count(*) AS those, min(coalesce(ready_at, created_at)) AS since
    FROM item INDEXED BY item_state
    WHERE state IN ('ready', 'parked', 'scheduled') AND CASE state
        WHEN 'ready' THEN suspect = 0
        WHEN 'scheduled' THEN reason = 'outage'
        ELSE reason <> 'children'
    END
    GROUP BY state, reason, agent, stage, lacking,
        CASE WHEN json_valid(error) THEN json_extract(error, '$.kind') END,
        CASE WHEN json_valid(error) THEN json_extract(error, '$.type') END,
        CASE WHEN json_valid(error) THEN replace(json_extract(error, '$.budget'), uid, '') END
)
ORDER BY since;

-- name: claim_suspects
-- The best suspects, while no other suspect runs.
SELECT rank, id, attempt_open, 1, expires_at, delays, stage, agent, lane, fresh
FROM item INDEXED BY item_suspect
WHERE state = 'ready' AND suspect = 1 AND lacking = 0 AND (expires_at IS NULL OR expires_at > :now)
    AND NOT EXISTS (SELECT 1 FROM item AS other WHERE other.state = 'running' AND other.suspect = 1)
ORDER BY rank, id;

-- name: keep_resources
-- A new attempt of these is about to open: what their last one was executed with stays with that.
UPDATE attempt SET resources_version = item.resources_version
FROM item
WHERE item.id IN (SELECT value FROM json_each(:asked))
    AND attempt.item = item.id AND attempt.attempt = item.attempt;

-- name: claim
-- The chosen items are held: [id, holder, resources version]. The attempt opens if none is open.
WITH asked(id, holder, resources_version) AS (VALUES :rows)
UPDATE item SET
    state = 'running', reason = NULL, fence = fence + 1, attempt = attempt + (1 - attempt_open), attempt_open = 1,
    boot = :boot, holder = asked.holder, started_at = coalesce(started_at, :now),
    resources_version = coalesce(asked.resources_version, CASE attempt_open WHEN 1 THEN item.resources_version END)
FROM asked
WHERE item.id = asked.id AND +item.state = 'ready';

-- name: open_attempts
INSERT INTO attempt (item, attempt, started_at)
SELECT id, attempt, :now FROM item WHERE id IN (SELECT value FROM json_each(:asked));

-- name: open_holds
INSERT INTO hold (item, fence, attempt, boot, holder, stage, claimed_at)
SELECT id, fence, attempt, boot, holder, stage, :now FROM item WHERE id IN (SELECT value FROM json_each(:asked));

-- name: records_by_id
SELECT * FROM record WHERE id IN (SELECT value FROM json_each(:asked));

-- name: claimed
-- The records of these items as one JSON array, each as the `record` view has it, but for the bodies of their payloads.
SELECT json_group_array(json_array(
    item.id, item.uid, NULL, payload.sha256, item.state, item.stage, item.reason, item.rank, item.fence,
    item.attempt, item.attempt_open, item.boot, item.holder, item.failures, item.crashes, item.suspect,
    item.delays, item.parks, item.reviews, item.run_at, item.expires_at, item.created_at, item.ready_at,
    item.started_at, item.finished_at, item.error, payload.origin, payload.submitted_by,
    correspondence.questions, correspondence.answers, correspondence.feedback, item.lineage, item.agent,
    payload.correlation))
FROM json_each(:asked) AS asked
JOIN item ON item.id = asked.value
JOIN payload ON payload.item = item.id
LEFT JOIN correspondence ON correspondence.item = item.id;

-- name: payloads_by_id
SELECT item, body FROM payload WHERE item IN (SELECT value FROM json_each(:asked));

-- name: fix_exchanges
-- An attempt begins: what was said up to this position it is shown, and nothing else for as long as it lasts.
UPDATE exchange SET seen = :position WHERE item IN (SELECT value FROM json_each(:asked));

-- name: exchanges_before
-- What was said in the conversation of each of these up to where its attempt began, the `:most` newest, oldest first.
SELECT mine.item, earlier.asked, earlier.answered
FROM json_each(:asked) AS asked
CROSS JOIN exchange AS mine ON mine.item = asked.value
CROSS JOIN exchange AS earlier ON earlier.item IN (
    SELECT item FROM exchange
    WHERE conversation = mine.conversation AND ended <= mine.seen
    ORDER BY ended DESC, item DESC LIMIT :most)
ORDER BY mine.item, earlier.ended, earlier.item;

-- name: steps_of_held
-- The steps of each held item's own attempt and stage, in their order.
SELECT step.item, step.seq, step.kind, step.input_digest, step.output
FROM json_each(:asked) AS asked
JOIN item ON item.id = asked.value
JOIN step ON step.item = item.id AND step.attempt = item.attempt AND step.stage = item.stage
ORDER BY step.item, step.seq;

-- name: outputs_of_held
-- What the earlier stages of each held item made, oldest attempt first: a review that failed is tried on finished work.
SELECT output.item, output.stage, output.body
FROM json_each(:asked) AS asked JOIN output ON output.item = asked.value
ORDER BY output.item, output.attempt;

-- name: failures_of_held
-- Oldest first, without those that a review sent back: the review itself is the record's feedback.
SELECT attempt.item, attempt.error
FROM json_each(:asked) AS asked JOIN attempt ON attempt.item = asked.value
WHERE attempt.error IS NOT NULL AND attempt.outcome IS NOT 'review_rejected'
ORDER BY attempt.item, attempt.attempt;

-- === moves and steps, all fenced ===================================================================================

-- name: standing_of_held
-- [uid, fence, stage]: the row of each item, and which of them are not held as was believed: those that do not run,
-- or not under this fence, or not in this stage. One row of JSON: the interpreter's lock is handed over at every row.
WITH asked(uid, fence, stage) AS (VALUES :rows)
SELECT json_group_object(item.uid, item.id), json_group_array(item.uid)
    FILTER (WHERE NOT (item.state = 'running' AND item.fence = asked.fence AND item.stage = asked.stage))
FROM asked
CROSS JOIN item ON item.uid = asked.uid;

-- name: keep_results
-- [item, fence, body, sha256]. Before the moves, for success needs its result.
WITH asked(item, fence, body, sha256) AS (VALUES :rows)
INSERT INTO result (item, fence, sha256, body)
SELECT item, fence, sha256, body
FROM asked WHERE item IS NOT NULL;

-- name: keep_exchanges
-- [item, ended, asked, answered]
WITH asked(item, ended, asked, answered) AS (VALUES :rows)
UPDATE exchange SET ended = asked.ended, asked = asked.asked, answered = asked.answered
FROM asked
WHERE exchange.item = asked.item;

-- name: go_on
-- [id, next stage, holder, progress, error, resources version]: on to the next stage at once, held under the same fence as
-- before. The commonest change of all, so it names no column that an index of held items knows.
WITH asked(id, stage, holder, progress, error, resources_version) AS (VALUES :rows)
UPDATE item SET
    stage = asked.stage,
    holder = asked.holder,
    crashes = item.crashes * (1 - asked.progress),
    lives = item.lives * (1 - asked.progress),
    suspect = item.suspect * (1 - asked.progress),
    error = coalesce(asked.error, item.error),
    resources_version = coalesce(asked.resources_version, item.resources_version)
FROM asked
WHERE item.id = asked.id;

-- name: move
-- The decided moves that end a hold. A move without keep_rank queues anew, from the moment it is ready; progress clears
-- suspicion.
WITH asked(id, state, stage, reason, run_at, fence_up, ends_attempt,
    keep_rank, failures, crashes, delays, parks, reviews, progress, error) AS (VALUES :rows)
UPDATE item SET
    state = asked.state,
    stage = asked.stage,
    boot = NULL,
    holder = NULL,
    reason = asked.reason,
    run_at = asked.run_at,
    fence = item.fence + asked.fence_up,
    attempt_open = item.attempt_open * (1 - asked.ends_attempt),
    rank = CASE
        WHEN asked.keep_rank THEN item.rank
        WHEN asked.state = 'scheduled' THEN asked.run_at - item.priority * :ageing
        ELSE :now - item.priority * :ageing
    END,
    failures = item.failures + asked.failures,
    lineage = item.lineage + (asked.failures > 0),
    crashes = item.crashes * (1 - asked.progress) + asked.crashes,
    lives = item.lives * (1 - asked.progress),
    suspect = item.suspect * (1 - asked.progress),
    delays = item.delays + asked.delays,
    parks = item.parks + asked.parks,
    reviews = item.reviews + asked.reviews,
    ready_at = CASE asked.state WHEN 'ready' THEN :now ELSE item.ready_at END,
    finished_at = CASE asked.state WHEN 'succeeded' THEN :now WHEN 'dead' THEN :now WHEN 'cancelled' THEN :now END,
    error = CASE asked.state WHEN 'succeeded' THEN NULL ELSE coalesce(asked.error, item.error) END
FROM asked
WHERE item.id = asked.id;

-- name: keep_outputs
-- [item, attempt, stage, fence, body]
WITH asked(item, attempt, stage, fence, body) AS (VALUES :rows)
INSERT INTO output (item, attempt, stage, fence, body)
SELECT item, attempt, stage, fence, body
FROM asked WHERE item IS NOT NULL
ON CONFLICT (item, attempt, stage) DO UPDATE SET fence = excluded.fence, body = excluded.body;

-- name: keep_steps_of_moves
-- [item, attempt, stage, seq, fence, kind, input digest, output], for moves that were applied.
WITH asked(item, attempt, stage, seq, fence, kind, input_digest, output) AS (VALUES :rows)
INSERT INTO step (item, attempt, stage, seq, fence, kind, input_digest, output, at)
SELECT item, attempt, stage, seq, fence, kind, input_digest, output, :now
FROM asked WHERE item IS NOT NULL
ON CONFLICT (item, attempt, stage, seq) DO UPDATE SET
    fence = excluded.fence, kind = excluded.kind, input_digest = excluded.input_digest, output = excluded.output,
    at = excluded.at;

-- name: keep_steps
-- [uid, attempt, stage, seq, fence, kind, input digest, output]. Also while the item was only put back under the same
-- fence: what was paid for is kept.
WITH asked(uid, attempt, stage, seq, fence, kind, input_digest, output) AS (VALUES :rows)
INSERT INTO step (item, attempt, stage, seq, fence, kind, input_digest, output, at)
SELECT item.id, asked.attempt, asked.stage, asked.seq, asked.fence, asked.kind, asked.input_digest, asked.output, :now
FROM asked
CROSS JOIN item ON item.uid = asked.uid
WHERE item.fence = asked.fence AND item.attempt = asked.attempt AND item.stage = asked.stage
    AND (+item.state = 'running' OR +item.state = 'ready' AND item.reason = 'interrupted')
ON CONFLICT (item, attempt, stage, seq) DO UPDATE SET
    fence = excluded.fence, kind = excluded.kind, input_digest = excluded.input_digest, output = excluded.output,
    at = excluded.at
RETURNING (SELECT uid FROM item WHERE item.id = step.item),
    (SELECT lives > 0 OR crashes > 0 OR suspect = 1 FROM item WHERE item.id = step.item);

-- name: drop_steps
-- [uid, fence, attempt, stage, seq]: what was recorded from this step on belongs to another walk.
WITH asked(uid, fence, attempt, stage, seq) AS (VALUES :rows)
DELETE FROM step WHERE rowid IN (
    SELECT later.rowid FROM asked
    CROSS JOIN item ON item.uid = asked.uid
    JOIN step AS later ON later.item = item.id AND later.attempt = asked.attempt AND later.stage = asked.stage
        AND later.seq >= asked.seq
    WHERE +item.state = 'running' AND item.fence = asked.fence AND item.attempt = asked.attempt
        AND item.stage = asked.stage
)
RETURNING (SELECT uid FROM item WHERE item.id = step.item);

-- name: keep_prompts
-- [uid, attempt, stage, seq, body], of steps that were kept.
WITH asked(uid, attempt, stage, seq, body) AS (VALUES :rows)
INSERT INTO prompt (item, attempt, stage, seq, body)
SELECT item.id, asked.attempt, asked.stage, asked.seq, asked.body
FROM asked
CROSS JOIN item ON item.uid = asked.uid
WHERE true
ON CONFLICT (item, attempt, stage, seq) DO UPDATE SET body = excluded.body;

-- name: start_effects
-- [uid, fence, attempt, stage, seq, key, tool, arguments, idempotent]. A key that is there is one that is tried again.
WITH asked(uid, fence, attempt, stage, seq, key, tool, arguments, idempotent) AS (VALUES :rows)
INSERT INTO effect (key, item, attempt, stage, seq, fence, tool, arguments, idempotent, state, started_at)
SELECT asked.key, item.id, asked.attempt, asked.stage, asked.seq, asked.fence, asked.tool, asked.arguments,
    asked.idempotent, 'started', :now
FROM asked
CROSS JOIN item ON item.uid = asked.uid
WHERE +item.state = 'running' AND item.fence = asked.fence AND item.attempt = asked.attempt
    AND item.stage = asked.stage
ON CONFLICT (key) DO UPDATE SET
    fence = excluded.fence, tool = excluded.tool, arguments = excluded.arguments, idempotent = excluded.idempotent,
    state = 'started', output = NULL, started_at = excluded.started_at, ended_at = NULL
RETURNING (SELECT uid FROM item WHERE item.id = effect.item);

-- name: end_effects
-- [uid, fence, attempt, stage, key, state, output]
WITH asked(uid, fence, attempt, stage, key, state, output) AS (VALUES :rows)
UPDATE effect SET state = asked.state, output = asked.output, ended_at = :now
FROM asked
CROSS JOIN item ON item.uid = asked.uid
WHERE effect.key = asked.key AND +effect.item = item.id AND effect.state = 'started'
    AND effect.fence = asked.fence AND item.fence = asked.fence AND item.attempt = asked.attempt
    AND item.stage = asked.stage
    AND (+item.state = 'running' OR +item.state = 'ready' AND item.reason = 'interrupted')
RETURNING (SELECT uid FROM item WHERE item.id = effect.item);

-- name: effects_of_held
-- Of every attempt: what was done is done, and what may have been done stays so.
SELECT effect.item, effect.key, effect.attempt, effect.seq, effect.tool, effect.arguments, effect.state,
    effect.idempotent, effect.output
FROM json_each(:asked) AS asked JOIN effect ON effect.item = asked.value
ORDER BY effect.item, effect.attempt, effect.seq;

-- name: unknown_effects
SELECT key FROM effect
WHERE item IN (SELECT value FROM json_each(:asked)) AND state = 'started' AND idempotent = 0;

-- name: settle_effects
UPDATE effect SET state = :state, output = :output, ended_at = :now
WHERE item IN (SELECT value FROM json_each(:asked)) AND state = 'started' AND idempotent = 0;

-- name: clear_suspicion
-- A new step proves that the item does not kill who works on it.
UPDATE item SET lives = 0, crashes = 0, suspect = 0 WHERE uid IN (SELECT value FROM json_each(:asked));

-- name: end_attempts
-- [item, attempt, outcome, error]
WITH asked(item, attempt, outcome, error) AS (VALUES :rows)
UPDATE attempt SET
    ended_at = coalesce(attempt.ended_at, :now),
    outcome = asked.outcome,
    error = coalesce(asked.error, attempt.error)
FROM asked
WHERE attempt.item = asked.item AND attempt.attempt = asked.attempt;

-- name: close_holds
-- [item, why]: nobody holds these items any more.
WITH asked(item, why) AS (VALUES :rows)
UPDATE hold SET ended_at = :now, why = asked.why
FROM asked
WHERE hold.item = asked.item AND hold.ended_at IS NULL;

-- name: close_attempts
-- The items' open attempts end without a failure of their own.
UPDATE attempt SET ended_at = :now, outcome = :outcome
WHERE item IN (SELECT value FROM json_each(:asked)) AND ended_at IS NULL;

-- === dependents ====================================================================================================

-- name: any_dependents
SELECT EXISTS (SELECT 1 FROM dependency WHERE needs IN (SELECT value FROM json_each(:asked)));

-- name: settle_dependents
-- Items that waited on these, the last of their unfinished dependencies, go where their submit wished them.
UPDATE item SET
    state = CASE WHEN reason <> 'delay' THEN 'parked' WHEN run_at > :now THEN 'scheduled' ELSE 'ready' END,
    reason = CASE WHEN reason <> 'delay' THEN reason WHEN run_at > :now THEN 'delay' END,
    rank = max(:now, coalesce(run_at, 0)) - priority * :ageing,
    ready_at = CASE WHEN coalesce(reason, 'delay') = 'delay' AND coalesce(run_at, 0) <= :now THEN :now END
WHERE +state = 'waiting'
    AND id IN (SELECT item FROM dependency WHERE needs IN (SELECT value FROM json_each(:asked)))
    AND NOT EXISTS (
        SELECT 1 FROM dependency JOIN item AS needed ON needed.id = dependency.needs
        WHERE dependency.item = item.id AND needed.state <> 'succeeded')
RETURNING uid, state, reason, run_at, (
    SELECT max(needs) FROM dependency
    WHERE dependency.item = item.id AND needs IN (SELECT value FROM json_each(:asked)));

-- name: doom_dependents
-- Items that wait on these die of it: [id, uid, agent, phase, attempt, why, which of these]. Theirs are the next level.
UPDATE item SET
    state = 'dead', reason = NULL, finished_at = :now,
    error = json_object('kind', 'dependency_failed', 'dependency', verdict.uid,
        'message', 'the dependency ' || verdict.uid || ' is dead or cancelled')
FROM (
    SELECT dependency.item, min(needed.uid) AS uid
    FROM json_each(:asked) AS asked
    JOIN dependency ON dependency.needs = asked.value
    JOIN item AS needed ON needed.id = asked.value
    GROUP BY dependency.item
) AS verdict
WHERE item.id = verdict.item AND +item.state = 'waiting'
RETURNING id, uid, agent, phase, attempt, json_extract(error, '$.message'), (
    SELECT needed.id FROM item AS needed WHERE needed.uid = json_extract(item.error, '$.dependency'));

-- name: unfinished_below
-- The unfinished sub-work of these, however deep, also below what has succeeded: [id, uid, holder, fence, whose, what became
-- of that].
WITH RECURSIVE below(id, top) AS (
    SELECT child.item, asked.value FROM json_each(:asked) AS asked CROSS JOIN child ON child.parent = asked.value
    UNION ALL SELECT child.item, below.top FROM below CROSS JOIN child ON child.parent = below.id
)
SELECT item.id, item.uid, item.holder, item.fence, top.id, top.uid, top.state
FROM (SELECT id, min(top) AS top FROM below GROUP BY id) AS fallen
CROSS JOIN item ON item.id = fallen.id
CROSS JOIN item AS top ON top.id = fallen.top
WHERE item.finished_at IS NULL;

-- name: dead_dependents
-- Dead of a dependency, and in need of some of these: [id, uid, how many of these].
SELECT item.id, item.uid, count(*)
FROM json_each(:asked) AS asked
CROSS JOIN dependency ON dependency.needs = asked.value
CROSS JOIN item ON item.id = dependency.item
WHERE +item.state = 'dead'
    AND CASE WHEN json_valid(item.error) THEN json_extract(item.error, '$.kind') END = 'dependency_failed'
GROUP BY item.id;

-- name: lost_needs
-- How many of what each of these needs is dead or cancelled.
SELECT asked.value, count(needed.id)
FROM json_each(:asked) AS asked
CROSS JOIN dependency ON dependency.item = asked.value
LEFT JOIN item AS needed ON needed.id = dependency.needs AND +needed.state IN ('dead', 'cancelled')
GROUP BY asked.value;

-- name: unsettled_needs
-- What these items still wait on, and in which state it is.
SELECT dependency.item, needed.uid, needed.state
FROM json_each(:asked) AS asked
JOIN dependency ON dependency.item = asked.value
JOIN item AS needed ON needed.id = dependency.needs
WHERE needed.state <> 'succeeded';

-- === operators =====================================================================================================

-- name: standing_of
SELECT item.uid, item.id, item.state, item.stage, item.reason, item.holder, item.fence, item.attempt, item.run_at
FROM json_each(:asked) AS asked JOIN item ON item.uid = asked.value;

-- name: cancel
UPDATE item SET
    state = 'cancelled', fence = fence + 1, attempt_open = 0, holder = NULL, boot = NULL, reason = NULL,
    finished_at = :now
WHERE id IN (SELECT value FROM json_each(:asked));

-- name: release
-- [id, state, fresh start]. A fresh start has its budgets back and begins its walk again; all else keeps its place. What
-- waits again goes on where its submit wished it: its time stands, and what it was asked back is still to be answered.
-- The time of what is answered before it stands too.
WITH asked(id, state, fresh) AS (VALUES :rows)
UPDATE item SET
    state = asked.state,
    reason = CASE asked.state WHEN 'scheduled' THEN 'delay' WHEN 'waiting' THEN (
        SELECT 'challenge' FROM correspondence
        WHERE correspondence.item = asked.id AND questions <> '[]' AND answers = '[]') END,
    run_at = CASE WHEN asked.state IN ('waiting', 'scheduled') THEN run_at END,
    finished_at = NULL,
    ready_at = CASE asked.state WHEN 'ready' THEN :now ELSE ready_at END,
    rank = CASE
        WHEN asked.state = 'scheduled' THEN rank
        WHEN item.state = 'dead' THEN :now - priority * :ageing
        ELSE min(rank, :now - priority * :ageing)
    END,
    attempt_open = attempt_open * (1 - asked.fresh),
    stage = CASE WHEN asked.fresh THEN first_stage ELSE stage END,
    expires_at = CASE WHEN item.state = 'dead' AND expires_at <= :now THEN NULL ELSE expires_at END,
    failures = CASE item.state WHEN 'dead' THEN 0 ELSE failures END,
    crashes = CASE item.state WHEN 'dead' THEN 0 ELSE crashes END,
    reviews = CASE item.state WHEN 'dead' THEN 0 ELSE reviews END,
    lives = CASE item.state WHEN 'dead' THEN 0 ELSE lives END,
    suspect = CASE item.state WHEN 'dead' THEN 0 ELSE suspect END,
    error = CASE item.state WHEN 'dead' THEN NULL ELSE error END
FROM asked
WHERE item.id = asked.id;

-- name: parked_for_another
-- What is parked for a template of this agent, and was last executed with another state of it.
SELECT uid FROM item INDEXED BY item_state
WHERE state = 'parked' AND reason = 'template' AND agent = :agent AND resources_version IS NOT :resources_version
ORDER BY id;

-- name: editable
SELECT item.id, item.state, payload.body
FROM json_each(:asked) AS asked
JOIN item ON item.uid = asked.value
JOIN payload ON payload.item = item.id;

-- name: replace_payload
UPDATE payload SET body = :body, sha256 = :sha256 WHERE item IN (SELECT value FROM json_each(:asked));

-- name: edit
-- The rank moves with the priority. An item that an agent is to see with other eyes begins its walk again.
UPDATE item SET
    rank = rank - (:priority - priority) * :ageing,
    priority = :priority,
    expires_at = :expires_at,
    attempt_open = attempt_open * (1 - :anew),
    stage = CASE WHEN :anew THEN first_stage ELSE stage END
WHERE id IN (SELECT value FROM json_each(:asked));

-- name: drop_labels
DELETE FROM label WHERE item IN (SELECT value FROM json_each(:asked));

-- === going back, and time ==========================================================================================

-- name: running
SELECT item.id, item.uid, item.fence, item.holder, item.stage, item.crashes, item.lives, item.suspect,
    EXISTS (SELECT 1 FROM step WHERE step.item = item.id AND step.attempt = item.attempt AND step.fence = item.fence)
        OR EXISTS (SELECT 1 FROM output WHERE output.item = item.id AND output.fence = item.fence)
FROM item WHERE item.state = 'running';

-- name: rescue
-- [id, lives, suspect, crashes]: ready again under a new fence, in the stage and attempt they were in.
WITH asked(id, lives, suspect, crashes) AS (VALUES :rows)
UPDATE item SET
    state = 'ready', reason = 'interrupted', fence = fence + 1, holder = NULL, boot = NULL, ready_at = :now,
    lives = asked.lives, suspect = asked.suspect, crashes = asked.crashes
FROM asked
WHERE item.id = asked.id;

-- name: convict
-- [id, crashes, error]: whoever runs is dead of it. The crashes stay as they are where they are not given.
WITH asked(id, crashes, error) AS (VALUES :rows)
UPDATE item SET
    state = 'dead', reason = NULL, fence = fence + 1, attempt_open = 0, holder = NULL, boot = NULL, finished_at = :now,
    crashes = coalesce(asked.crashes, item.crashes), error = asked.error
FROM asked
WHERE item.id = asked.id
RETURNING item.id, uid, agent, phase, attempt;

-- name: expire
-- Whatever is past its `expires_at` and not running is dead.
UPDATE item INDEXED BY item_expiry SET
    state = 'dead', reason = NULL, attempt_open = 0, finished_at = :now,
    error = json_object('kind', 'expired', 'message', 'it was not done by its expires_at')
WHERE expires_at <= :now AND finished_at IS NULL AND state <> 'running'
RETURNING id, uid, agent, phase;

-- name: promote_due
-- The rank was written when the item was scheduled.
UPDATE item INDEXED BY item_due SET state = 'ready', reason = NULL, run_at = NULL, ready_at = :now
WHERE state = 'scheduled' AND run_at <= :now
RETURNING uid;

-- name: set_back
-- The wall clock was set back: what waits out a delay that we gave it before goes on as late as it would have. One whose
-- event is kept no longer was given it long ago.
UPDATE item INDEXED BY item_due SET
    run_at = run_at - :by,
    rank = CASE reason WHEN 'backoff' THEN rank - :by ELSE rank END
WHERE state = 'scheduled' AND reason IN ('backoff', 'outage') AND run_at > :at AND coalesce((
    SELECT event.seq <= :right OR (event.seq <= :wrong AND event.at > :at) FROM event
    WHERE event.subject = item.uid AND event.type = 'work.scheduled' ORDER BY event.seq DESC LIMIT 1), true);

-- name: next_due
SELECT min(run_at) FROM item INDEXED BY item_due WHERE state = 'scheduled';

-- === money =========================================================================================================

-- name: known_reservations
SELECT id FROM reservation WHERE id IN (SELECT value FROM json_each(:asked));

-- name: budgets
-- [scope, period]
SELECT budget.scope, budget.period, budget.spent, budget.tokens, budget.calls,
    budget.reserved, budget.reserved_tokens, budget.reserved_calls, budget.told
FROM json_each(:asked) AS asked
JOIN budget ON budget.scope = json_extract(asked.value, '$[0]') AND budget.period = json_extract(asked.value, '$[1]');

-- name: reserve
-- [id, item, fence, agent, provider, day, estimate in nano-USD, if the price is known, and in tokens]
WITH asked(id, item, fence, agent, provider, day, nano_usd, tokens) AS (VALUES :rows)
INSERT INTO reservation (id, item, fence, agent, provider, day, boot, estimate, estimated_tokens, nano_usd, reserved_at)
SELECT id, item, fence, agent, provider, day, :boot, coalesce(nano_usd, 0), tokens, nano_usd, :now
FROM asked WHERE id IS NOT NULL;

-- name: settle
-- [id, nano-USD, tokens, calls], once each; an unknown price books the estimate, and without calls all of it is.
WITH asked(id, nano_usd, tokens, calls) AS (VALUES :rows)
UPDATE reservation SET
    settled_at = :now,
    nano_usd = CASE WHEN asked.calls IS NULL THEN reservation.nano_usd ELSE asked.nano_usd END,
    tokens = coalesce(asked.tokens, reservation.estimated_tokens), calls = coalesce(asked.calls, 1)
FROM asked
WHERE reservation.id = asked.id AND reservation.settled_at IS NULL
RETURNING reservation.id, reservation.item, reservation.agent, reservation.provider, reservation.day,
    reservation.estimate, reservation.estimated_tokens,
    coalesce(reservation.nano_usd, reservation.estimate), reservation.tokens, reservation.calls;

-- name: settle_orphans
-- Reservations that a life of the daemon left open are booked at their estimate.
UPDATE reservation SET settled_at = :now, tokens = estimated_tokens, calls = 1
WHERE settled_at IS NULL AND boot < :boot
RETURNING id, item, agent, provider, day, estimate, estimated_tokens, estimate, tokens, calls;

-- name: book_calls
-- [reservation, input, output, cached tokens]: what settled calls used is on the attempt that made them, whoever holds
-- the item by now. An unknown price makes the sum unknown.
WITH asked(reservation, input_tokens, output_tokens, cached_tokens) AS (VALUES :rows)
UPDATE attempt SET
    input_tokens = attempt.input_tokens + used.input_tokens,
    output_tokens = attempt.output_tokens + used.output_tokens,
    cached_tokens = attempt.cached_tokens + used.cached_tokens,
    calls = attempt.calls + used.calls,
    nano_usd = attempt.nano_usd + used.nano_usd
FROM (
    SELECT hold.item, hold.attempt, sum(asked.input_tokens) AS input_tokens, sum(asked.output_tokens) AS output_tokens,
        sum(asked.cached_tokens) AS cached_tokens, sum(reservation.calls) AS calls,
        CASE count(reservation.nano_usd) WHEN count(*) THEN sum(reservation.nano_usd) END AS nano_usd
    FROM asked
    CROSS JOIN reservation ON reservation.id = asked.reservation
    CROSS JOIN item ON item.uid = reservation.item
    CROSS JOIN hold ON hold.item = item.id AND hold.fence = reservation.fence
    GROUP BY hold.item, hold.attempt
) AS used
WHERE attempt.item = used.item AND attempt.attempt = used.attempt;

-- name: book
-- [scope, period, spent: nano-USD, tokens, calls, reserved: the same, told]: how these budgets stand now.
WITH asked(scope, period, spent, tokens, calls, reserved, reserved_tokens, reserved_calls, told) AS (VALUES :rows)
INSERT INTO budget (scope, period, spent, tokens, calls, reserved, reserved_tokens, reserved_calls, told)
SELECT scope, period, spent, tokens, calls, reserved, reserved_tokens, reserved_calls, told
FROM asked WHERE scope IS NOT NULL
ON CONFLICT (scope, period) DO UPDATE SET
    spent = excluded.spent, tokens = excluded.tokens, calls = excluded.calls,
    reserved = excluded.reserved, reserved_tokens = excluded.reserved_tokens,
    reserved_calls = excluded.reserved_calls, told = excluded.told;

-- === what is kept, and for how long ==================================================================================

-- name: finished_behind
-- A bite of the items behind a cursor: when each ended, and whether nobody would wait for it in vain when it is gone.
SELECT id, uid, state, finished_at, state = 'succeeded'
    OR NOT EXISTS (SELECT 1 FROM dependency WHERE dependency.needs = item.id)
FROM item WHERE id > :behind ORDER BY id LIMIT :limit;

-- name: purgeable
SELECT item.id, item.state, item.state = 'succeeded'
    OR NOT EXISTS (SELECT 1 FROM dependency WHERE dependency.needs = item.id)
FROM json_each(:asked) AS asked JOIN item ON item.uid = asked.value;

-- name: prune_steps
DELETE FROM step WHERE item IN (SELECT value FROM json_each(:asked));

-- name: remember
INSERT INTO idempotency (uid, digest, outcome, forget_at)
SELECT item.uid, payload.digest, item.state, :forget_at
FROM json_each(:asked) AS asked
JOIN item ON item.id = asked.value
JOIN payload ON payload.item = item.id;

-- name: free_dependents
DELETE FROM dependency WHERE (item, needs) IN (
    SELECT dependency.item, dependency.needs
    FROM json_each(:asked) AS asked JOIN dependency ON dependency.needs = asked.value);

-- name: close_item_budgets
DELETE FROM budget WHERE scope IN (SELECT value FROM json_each(:asked));

-- name: let_go
-- All that belongs to them goes with them.
DELETE FROM item WHERE id IN (SELECT value FROM json_each(:asked));

-- name: prune_events
-- What was written under a clock that was ahead is passed over until it is old: it would stand before all that came later.
DELETE FROM event WHERE seq IN (
    SELECT seq FROM (SELECT seq, at FROM event WHERE at <= :now ORDER BY seq LIMIT :limit) WHERE at < :before)
RETURNING seq;

-- name: prune_reservations
-- Their ids are in the order of their making.
DELETE FROM reservation WHERE id IN (
    SELECT id FROM (SELECT id, settled_at FROM reservation ORDER BY id LIMIT :limit) WHERE settled_at < :before);

-- name: forget
DELETE FROM idempotency WHERE uid IN (SELECT uid FROM idempotency WHERE forget_at <= :now LIMIT :limit);

-- name: blank_events
UPDATE event SET data = '{}' WHERE subject = :subject;

-- === the record of it all ==========================================================================================

-- name: record_events
-- [seq, type, subject, data]; the writer numbers them, for it alone writes.
WITH asked(seq, type, subject, data) AS (VALUES :rows)
INSERT INTO event (seq, at, type, subject, data)
SELECT seq, :now, type, subject, data
FROM asked WHERE seq IS NOT NULL;

-- name: record_audits
WITH asked(via, by, pid, action, target, request_id, previous, hash) AS (VALUES :rows)
INSERT INTO audit (at, via, by, pid, action, target, request_id, previous, hash)
SELECT :now, via, by, pid, action, target, request_id, previous, hash
FROM asked WHERE via IS NOT NULL;

-- name: set
INSERT INTO setting (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: last_position
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0);

-- name: position_before
-- Back from the newest: what is read on the way is what the caller asked to see.
SELECT coalesce((SELECT seq FROM event WHERE at < :at ORDER BY seq DESC LIMIT 1), 0);

-- name: last_row
SELECT coalesce(max(id), 0) FROM item;

-- name: last_audit
SELECT coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), '');

-- name: unfinished
SELECT count(*) FROM item WHERE state IN ('waiting', 'ready', 'scheduled', 'running', 'parked');

-- === boots =========================================================================================================

-- name: identify
INSERT INTO identity (only, uuid, created_at) VALUES (1, :uuid, :now);

-- name: identity
SELECT uuid FROM identity;

-- name: note_migration
INSERT INTO migration (version, program, at) VALUES (:version, :program, :now);

-- name: died_before
-- Whether the life before this one ended without saying so.
SELECT stopped_at IS NULL FROM boot ORDER BY boot DESC LIMIT 1;

-- name: begin_boot
INSERT INTO boot (node, pid, version, started_at, settings, definitions)
VALUES (:node, :pid, :version, :now, :settings, :definitions) RETURNING boot;

-- name: mark_lacking
-- [agent, capability], all that is offered: whose agent lacks something, and whose no longer does. New items need no
-- mark: none is accepted whose agent lacks anything, and who offers what only a boot can change.
UPDATE item SET lacking = EXISTS (
    SELECT 1 FROM requires
    WHERE requires.item = item.id
        AND json_array(item.agent, requires.capability) NOT IN (SELECT value FROM json_each(:asked)))
WHERE id IN (SELECT item FROM requires);

-- name: any_suspects
-- Only a boot makes suspects, so a boot without any never has to look for them.
SELECT EXISTS (SELECT 1 FROM item WHERE suspect = 1 AND state IN ('waiting', 'ready', 'scheduled', 'running', 'parked'));

-- name: tell_rescued
UPDATE boot SET rescued = :rescued WHERE boot = :boot;

-- name: end_boot
UPDATE boot SET stopped_at = :now WHERE boot = :boot;

-- === reading =======================================================================================================

-- name: record
SELECT * FROM record WHERE uid = :uid;

-- name: result
-- With what its attempt used, in all of its stages: what was made is known before every call is settled.
SELECT result.body, result.sha256, attempt.input_tokens, attempt.output_tokens, attempt.cached_tokens, attempt.calls,
    attempt.nano_usd
FROM item
JOIN result ON result.item = item.id
JOIN attempt ON attempt.item = item.id AND attempt.attempt = item.attempt
WHERE item.uid = :uid;

-- name: came_to
-- What the newest succeeded items of a definition used, over all their attempts; of a price that is not known, null.
SELECT
    CASE WHEN EXISTS (SELECT 1 FROM attempt WHERE attempt.item = done.id AND attempt.nano_usd IS NULL) THEN NULL
        ELSE coalesce(budget.spent, 0) END,
    coalesce(budget.tokens, 0), coalesce(budget.calls, 0)
FROM (SELECT id, uid FROM item WHERE state = 'succeeded' AND agent = :agent ORDER BY id DESC LIMIT :limit) AS done
LEFT JOIN budget ON budget.scope = 'item:' || done.uid AND budget.period = 'ever';

-- name: exchanges
-- What was said in a conversation, the `:most` newest, oldest first.
SELECT asked, answered FROM (
    SELECT item, ended, asked, answered FROM exchange
    WHERE conversation = :conversation AND ended IS NOT NULL
    ORDER BY ended DESC, item DESC LIMIT :most)
ORDER BY ended, item;

-- name: children
SELECT item.uid, item.state, item.reason
FROM item AS above
JOIN child ON child.parent = above.id
JOIN item ON item.id = child.item
WHERE above.uid = :uid ORDER BY item.id LIMIT 100;

-- name: attempts
-- `lives` is a JSON array of the lives of the daemon that it was held in, with what each of them ran on.
SELECT attempt.attempt, attempt.started_at, attempt.ended_at, attempt.outcome, attempt.error, attempt.input_tokens,
    attempt.output_tokens, attempt.cached_tokens, attempt.calls, attempt.nano_usd,
    CASE attempt.attempt WHEN item.attempt THEN item.resources_version ELSE attempt.resources_version END,
    (SELECT json_group_array(json_object('boot', boot.boot, 'version', boot.version, 'settings', boot.settings,
        'definition', json_extract(boot.definitions, '$."' || item.agent || '"')))
    FROM boot
    WHERE boot.boot IN (SELECT boot FROM hold WHERE hold.item = item.id AND hold.attempt = attempt.attempt)) AS lives
FROM item JOIN attempt ON attempt.item = item.id
WHERE item.uid = :uid ORDER BY attempt.attempt;

-- name: steps
SELECT step.attempt, step.stage, step.seq, step.kind, step.input_digest, prompt.body, step.output, step.at
FROM item
JOIN step ON step.item = item.id
LEFT JOIN prompt ON prompt.item = step.item AND prompt.attempt = step.attempt AND prompt.stage = step.stage
    AND prompt.seq = step.seq
WHERE item.uid = :uid ORDER BY step.attempt, step.rowid;

-- name: payload
SELECT payload.body FROM item JOIN payload ON payload.item = item.id WHERE item.uid = :uid;

-- name: beside_payload
-- What the row itself says of what was asked for, where its payload cannot be read.
SELECT phase, priority, lane FROM item WHERE uid = :uid;

-- name: names_upload
SELECT EXISTS (SELECT 1 FROM payload WHERE body LIKE :like);

-- name: unfinished_items
SELECT uid FROM item WHERE state IN ('waiting', 'ready', 'scheduled', 'running', 'parked');

-- name: named_uploads
SELECT DISTINCT json_extract(input.value, '$.upload')
FROM payload, json_each(CASE WHEN json_valid(payload.body) THEN payload.body ELSE '{}' END, '$.inputs') AS input
WHERE json_extract(input.value, '$.upload') IS NOT NULL;

-- name: damaged_payloads
SELECT body FROM payload WHERE NOT json_valid(body);

-- name: effects
SELECT effect.key, effect.attempt, effect.seq, effect.tool, effect.arguments, effect.state, effect.idempotent,
    effect.output
FROM item JOIN effect ON effect.item = item.id
WHERE item.uid = :uid ORDER BY effect.attempt, effect.started_at;

-- name: outputs
SELECT output.attempt, output.stage, output.body
FROM item JOIN output ON output.item = item.id
WHERE item.uid = :uid ORDER BY output.attempt, output.rowid;

-- name: counts
SELECT state, count(*) FROM item GROUP BY state;

-- name: oldest_ready_at
SELECT min(ready_at) FROM item INDEXED BY item_oldest WHERE state = 'ready';

-- name: spent
SELECT coalesce((SELECT spent FROM budget WHERE scope = 'all' AND period = :day), 0);

-- name: setting
SELECT value FROM setting WHERE key = :key;

-- name: settings
SELECT key, value FROM setting WHERE key >= :first AND key < :last;

-- name: payloads_behind
SELECT item.id, item.uid, payload.body, payload.sha256
FROM payload JOIN item ON item.id = payload.item
WHERE payload.item > :behind ORDER BY payload.item LIMIT :limit;

-- name: results_behind
SELECT item.id, item.uid, result.body, result.sha256
FROM result JOIN item ON item.id = result.item
WHERE result.item > :behind ORDER BY result.item LIMIT :limit;

-- name: audits_behind
SELECT id, at, via, by, pid, action, target, request_id, previous, hash
FROM audit WHERE id > :behind ORDER BY id LIMIT :limit;

-- name: audit_before
-- The row that the newest so many follow.
SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1 OFFSET :most;

-- name: succeeded_without_result
SELECT uid, state FROM item
WHERE state = 'succeeded'
    AND NOT EXISTS (SELECT 1 FROM result WHERE result.item = item.id AND result.fence = item.fence)
LIMIT 100;

-- name: audits
SELECT at, via, by, pid, action, target, request_id, previous, hash FROM audit ORDER BY id DESC LIMIT :limit;
