CREATE TABLE overdraft_alerts (
    aid       integer NOT NULL,
    balance   integer NOT NULL,
    noted_at  timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION note_overdraft() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO overdraft_alerts (aid, balance) VALUES (NEW.aid, NEW.abalance);
    RETURN NULL;
END
$$;

CREATE TRIGGER overdraft
    AFTER UPDATE OF abalance ON pgbench_accounts
    FOR EACH ROW WHEN (NEW.abalance < -4000 AND OLD.abalance >= -4000)
    EXECUTE FUNCTION note_overdraft();
