INSERT INTO reservation VALUES ('r', 'a', 'one', 'some', '1970-01-01', 1, 7, 1, 1, 5, 3, 1);
INSERT INTO reservation VALUES ('s', 'a', 'one', 'some', '1970-01-01', 0, 7, 1, NULL, NULL, NULL, NULL);
