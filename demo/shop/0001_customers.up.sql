CREATE TABLE customers (
    id serial PRIMARY KEY,
    email text NOT NULL UNIQUE,
    nick text NOT NULL DEFAULT 'guest',
    joined timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX customers_nick ON customers (nick);
