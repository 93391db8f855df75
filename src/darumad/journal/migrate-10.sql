-- From version 9 to 10: a reservation tells under which claim of its item it was made, so that what the call used is on the
-- attempt that made it. Of calls that were open when the daemon was killed that is known of the items that it held, and
-- what they may have cost of those that were estimated to cost anything. What calls of a stage had used that never ended,
-- or has not yet, was on no attempt: it comes on the one whose claim was the latest when the call was reserved. What of
-- their tokens was read and what was written is not known, and all of it counts as read.

ALTER TABLE reservation ADD COLUMN fence INTEGER;
UPDATE reservation SET nano_usd = nullif(estimate, 0), fence = (
    SELECT item.fence FROM item WHERE item.uid = reservation.item AND item.state = 'running'
)
WHERE settled_at IS NULL;

UPDATE attempt SET
    calls = used.calls,
    input_tokens = attempt.input_tokens + max(0, used.tokens - attempt.input_tokens - attempt.output_tokens),
    nano_usd = max(attempt.nano_usd, used.nano_usd)
FROM (
    SELECT hold.item, hold.attempt, sum(reservation.calls) AS calls, sum(reservation.tokens) AS tokens,
        CASE count(reservation.nano_usd) WHEN count(*) THEN sum(reservation.nano_usd) END AS nano_usd
    FROM reservation
    CROSS JOIN item ON item.uid = reservation.item
    CROSS JOIN hold ON hold.item = item.id AND hold.fence = (
        SELECT max(latest.fence) FROM hold AS latest
        WHERE latest.item = item.id AND latest.claimed_at <= reservation.reserved_at
    )
    WHERE reservation.calls > 0
    GROUP BY hold.item, hold.attempt
) AS used
WHERE attempt.item = used.item AND attempt.attempt = used.attempt AND used.calls > attempt.calls;
