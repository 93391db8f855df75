-- From version 8 to 9: what is parked may be scheduled: it was answered before its time. And with which state of a template
-- an attempt was executed.

ALTER TABLE item ADD COLUMN resources_version TEXT;
ALTER TABLE attempt ADD COLUMN resources_version TEXT;

DROP TRIGGER item_changes;
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
