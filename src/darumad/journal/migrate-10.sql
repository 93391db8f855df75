-- From version 9 to 10: a reservation tells under which claim of its item it was made, so that what the call used is on the
-- attempt that made it. Of calls that were open when the daemon was killed that is known of the items that it held, and
-- what they may have cost of those that were estimated to cost anything.

ALTER TABLE reservation ADD COLUMN fence INTEGER;
UPDATE reservation SET nano_usd = nullif(estimate, 0), fence = (
    SELECT item.fence FROM item WHERE item.uid = reservation.item AND item.state = 'running'
)
WHERE settled_at IS NULL;
