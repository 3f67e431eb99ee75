CREATE TABLE account_owners (
    aid          integer PRIMARY KEY,
    customer_id  bigint NOT NULL,
    since        date NOT NULL DEFAULT current_date
);
COMMENT ON TABLE account_owners IS 'who holds which account';
