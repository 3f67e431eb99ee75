CREATE FUNCTION transfer(payer integer, payee integer, amount integer) RETURNS void
LANGUAGE plpgsql AS $body$
BEGIN
    IF amount <= 0 THEN
        RAISE EXCEPTION 'an amount must be positive; % is not', amount;
    END IF;
    UPDATE pgbench_accounts SET abalance = abalance - amount
    WHERE aid = payer AND status = 'active';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % cannot pay', payer;
    END IF;
    UPDATE pgbench_accounts SET abalance = abalance + amount WHERE aid = payee;
END
$body$;
COMMENT ON FUNCTION transfer IS 'moves an amount from one account to another';
