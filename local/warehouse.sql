-- The warehouse of compose.yaml: its database, and roles that are no superusers.
-- `headrace up` makes the same (local/headrace_local/postgres.py).
create role headrace login password 'headrace';
create database warehouse owner headrace template template0 encoding 'UTF8';
-- As which the loader runs users' tests, and what these may take of the disk meanwhile.
create role headrace_tests nologin noinherit;
grant headrace_tests to headrace with set true, inherit false;
grant set on parameter temp_file_limit to headrace;
