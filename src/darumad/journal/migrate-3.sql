-- From version 2 to 3: what is looked at with each change of an item names its words one by one, for speed. No row
-- changes; the constraints of the table say the same as before in other words.

DROP INDEX item_expiry;
CREATE INDEX item_expiry ON item (expires_at) WHERE expires_at IS NOT NULL AND finished_at IS NULL;

DROP INDEX item_lane;
CREATE INDEX item_lane ON item (lane) WHERE lane <> 'default' AND attempt > 0 AND finished_at IS NULL;

DROP TRIGGER item_begins;
DROP TRIGGER item_changes;

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
            WHEN 'parked' THEN NEW.state = 'ready' OR NEW.state = 'dead' OR NEW.state = 'cancelled'
            WHEN 'dead' THEN NEW.state = 'ready' OR NEW.state = 'waiting' OR NEW.state = 'cancelled'
            ELSE 0
        END THEN RAISE(ABORT, 'the state table does not lead there')
        WHEN NEW.state = 'running' AND NEW.fence <= OLD.fence THEN RAISE(ABORT, 'a claim raises the fence')
        WHEN NEW.state = 'succeeded'
            AND NOT EXISTS (SELECT 1 FROM result WHERE result.item = NEW.id AND result.fence = NEW.fence)
            THEN RAISE(ABORT, 'success needs a result of the same fence')
    END;
END;

PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
    'state IN (''waiting'', ''ready'', ''scheduled'', ''running'', ''parked'', ''succeeded'', ''dead'', ''cancelled'')',
    'state = ''ready'' OR state = ''running'' OR state = ''succeeded'' OR state = ''waiting'' OR state = ''scheduled''
            OR state = ''parked'' OR state = ''dead'' OR state = ''cancelled'''),
    'stage IN (''planning'', ''optimizing'', ''executing'', ''reviewing'')',
    'stage = ''executing'' OR stage = ''reviewing'' OR stage = ''optimizing'' OR stage = ''planning'''),
    '(state IN (''succeeded'', ''dead'', ''cancelled''))',
    '(state = ''succeeded'' OR state = ''dead'' OR state = ''cancelled'')')
WHERE type = 'table' AND name = 'item';

PRAGMA writable_schema = RESET;
