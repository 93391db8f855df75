-- From version 9 to 10: a reservation tells under which claim of its item it was made, so that what the call used is on the
-- attempt that made it.

ALTER TABLE reservation ADD COLUMN fence INTEGER;
