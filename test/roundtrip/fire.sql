-- fire.sql: do the triggers, rules, keys and checks of the fixture still act?
-- pg_dump does not see one that is dead.  Each attempt is undone by its exception.
CREATE FUNCTION rt.attempt(what text, action text, query text DEFAULT NULL) RETURNS text LANGUAGE plpgsql
SET search_path = shop, pg_catalog AS $attempt$
DECLARE
    found text;
BEGIN
    EXECUTE action;
    IF query IS NOT NULL THEN
        EXECUTE query INTO found;
    END IF;
    RAISE EXCEPTION '%', coalesce(found, 'done');
EXCEPTION WHEN OTHERS THEN
    RETURN what || ': ' || sqlerrm;
END
$attempt$;
CREATE FUNCTION rt.fire() RETURNS SETOF text LANGUAGE sql AS $fire$
    SELECT rt.attempt('foreign key, insert', 'INSERT INTO orders (id, person) VALUES (-1, -1)');
    SELECT rt.attempt('foreign key, delete cascades', 'DELETE FROM people WHERE id = 11', 'SELECT count(*)::text FROM orders WHERE person = 11');
    SELECT rt.attempt('trigger', 'UPDATE orders SET total = total WHERE id = 3', 'SELECT count(*)::text FROM log');
    SELECT rt.attempt('rule', 'INSERT INTO log VALUES (NULL, ''keep'')', 'WITH d AS (DELETE FROM log WHERE what = ''keep'' RETURNING 1) SELECT count(*)::text FROM d');
    SELECT rt.attempt('rule left the row', 'INSERT INTO log VALUES (NULL, ''keep''); DELETE FROM log', 'SELECT count(*)::text FROM log');
    SELECT rt.attempt('check', 'INSERT INTO people (id, name) VALUES (-1, ''x'')');
    SELECT rt.attempt('unique', 'UPDATE people SET email = ''p2@example.org'' WHERE id = 1');
    SELECT rt.attempt('not null', 'INSERT INTO people (id) VALUES (-1)');
    SELECT rt.attempt('domain', 'UPDATE orders SET amount = -1 WHERE id = 1');
    SELECT rt.attempt('partition', 'INSERT INTO parts VALUES (1, ''zz'', '''')');
    SELECT rt.attempt('partition routed', 'INSERT INTO parts VALUES (500, ''us'', ''r'')', 'SELECT v FROM parts_us WHERE id = 500');
    SELECT rt.attempt('children seen', 'INSERT INTO parent VALUES (2, ''y'')', 'SELECT count(*)::text FROM parent');
    SELECT rt.attempt('generated', 'UPDATE orders SET total = 100 WHERE id = 3', 'SELECT tax::text FROM orders WHERE id = 3');
    SELECT rt.attempt('default', 'INSERT INTO orders (id, person) VALUES (-1, 1)', 'SELECT row(state, at AT TIME ZONE ''UTC'')::text FROM orders WHERE id = -1');
    SELECT rt.attempt('view', 'UPDATE v1 SET name = ''renamed'' WHERE id = 20', 'SELECT name FROM people WHERE id = 20');
    SELECT rt.attempt('enum', 'UPDATE people SET mood = ''high''', 'SELECT min(mood)::text FROM people');
$fire$;
