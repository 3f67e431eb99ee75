CREATE TABLE orders (
    id serial PRIMARY KEY,
    customer int NOT NULL REFERENCES customers,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'sent')),
    price numeric(10, 2) NOT NULL CHECK (price > 0)
);
