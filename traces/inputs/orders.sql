-- SPDX-License-Identifier: MIT
-- A small shop: customers, orders, an index, joins, updates, deletions.
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, day INTEGER, note TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
INSERT INTO customer SELECT i, 'customer ' || (i * 7919 % 1000), 'city ' || (i % 37) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
INSERT INTO orders SELECT i, 1 + i * 31 % 800, i * 17 % 365,
	substr('a note that is longer for some orders than for others, as notes are', 1, i * 13 % 67),
	(i * 101 % 5000) / 100.0 FROM n;
CREATE INDEX orders_by_customer ON orders (customer, day);
SELECT city, count(*), sum(price) FROM customer JOIN orders ON customer.id = orders.customer
	GROUP BY city ORDER BY 3 DESC LIMIT 10;
SELECT group_concat(name, ', ') FROM (SELECT DISTINCT name FROM customer ORDER BY name LIMIT 200);
UPDATE orders SET note = note || ' (checked)' WHERE day % 7 = 0;
DELETE FROM orders WHERE id % 5 = 0;
SELECT max(length(note)), min(price), avg(price) FROM orders WHERE note LIKE '%longer%';
SELECT json_group_array(json_object('id', id, 'note', note)) FROM (SELECT * FROM orders LIMIT 1500);
SELECT day, count(*) OVER (PARTITION BY day % 30 ORDER BY price) FROM orders ORDER BY 2 DESC LIMIT 5;
