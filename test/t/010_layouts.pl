# Directories as people have them: detected, ordered, applied, taken back.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $number = 0;

# Apply a directory in a new database: what the layout is, which names, what the down leaves.
sub layout_ok
{
	my ($name, $layout, $names, $files, %opt) = @_;
	my $db  = database('l' . ++$number);
	my $dir = files(workdir(), %$files);
	my ($rc, $out, $err) = upg('up', '-d', $db, '--json', @{ $opt{args} // [] }, $dir);
	is($rc, 0, "$name: up") or diag $err;
	like($out, qr/"layout":"\Q$layout\E"/, "$name: layout");
	is(sql($db, q{SELECT string_agg(migration, ' ' ORDER BY ord) FROM upg_status() WHERE state = 'applied'}),
		$names, "$name: names and order");
	($rc, $out, $err) = upg('up', '-d', $db, @{ $opt{args} // [] }, $dir);
	is($rc, 0, "$name: again") or diag $err;
	like($out, qr/nothing to do/, "$name: nothing to do");
	($rc, $out, $err) = upg('check', '-d', $db, @{ $opt{args} // [] }, $dir);
	is($rc, 0, "$name: check") or diag $out . $err;
	if (!$opt{no_down})
	{
		($rc, $out, $err) = upg('down', '-d', $db, '--all');
		is($rc, 0, "$name: down --all") or diag $err;
		is(sql($db, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'}),
			0, "$name: no table is left");
	}
	return ($db, $dir);
}

layout_ok('plain', 'plain', '1_a 2_b 10_c',
	{ '1_a.sql' => 'CREATE TABLE a (i int);', '10_c.sql' => 'ALTER TABLE b RENAME TO c;',
	  '2_b.sql' => 'ALTER TABLE a RENAME TO b;', 'README.md' => 'x', 'atlas.sum' => 'h1:' },
	no_down => 1);
layout_ok('up and down files', 'updown', '000001_a 000002_b',
	{ '000001_a.up.sql' => 'CREATE TABLE a (i int);', '000001_a.down.sql' => 'DROP TABLE a;',
	  '000002_b.up.sql' => 'CREATE TABLE b (i int);', '000002_b.down.sql' => 'DROP TABLE b;' });
layout_ok('down joined by number, a program left out', 'updown', '1_a',
	{ '1_a.up.sql' => 'CREATE TABLE a (i int);', '1_undo_a.down.sql' => 'DROP TABLE a;',
	  '2_b.up.go' => 'package b', '2_b.down.sql' => 'DROP TABLE b;' });
layout_ok('folders beside a stray file', 'folder', '2026-01-01-000000_a',
	{ '2026-01-01-000000_a/up.sql' => 'CREATE TABLE a (i int);', '2026-01-01-000000_a/down.sql' => 'DROP TABLE a;',
	  'data_by_hand.sql' => 'boom' });
layout_ok('dialects', 'updown', 'V0001.a V0002.b',
	{ 'V0001.a.postgres.up.sql' => 'CREATE TABLE a (i serial);', 'V0001.a.mysql.up.sql' => 'CREATE TABEL',
	  'V0001.a.postgres.down.sql' => 'DROP TABLE a;', 'V0001.a.mysql.down.sql' => 'x',
	  'V0002.b.up.sql' => 'CREATE TABLE b (i int);', 'V0002.b.down.sql' => 'DROP TABLE b;',
	  'V0003.c.sqlite.up.sql' => 'x', 'V0003.c.sqlite.down.sql' => 'x' });
layout_ok('do and undo', 'dodo', '001.a 002.b',
	{ '001.do.a.sql' => 'CREATE TABLE a (i int);', '001.undo.a.sql' => 'DROP TABLE a;',
	  '002.do.b.sql' => 'CREATE TABLE b (i int);', '002.undo.b.sql' => 'DROP TABLE b;' });
layout_ok('dbmate', 'dbmate', '20260101000000_a 20260102000000_b',
	{ '20260101000000_a.sql' => "-- migrate:up\nCREATE TABLE a (i int);\n-- migrate:down\nDROP TABLE a;\n",
	  '20260102000000_b.sql' => "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY ai ON a (i);\n\n-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY ai;\n" });
layout_ok('goose', 'goose', '00001_a 00002_f 00003_i',
	{ '00001_a.sql' => "-- +goose Up\nCREATE TABLE a (i int);\n\n-- +goose Down\nDROP TABLE a;\n",
	  '00002_f.sql' => "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN RETURN 1; END; \$\$;\n-- +goose StatementEnd\n-- +goose Down\nDROP FUNCTION f();\n",
	  '00003_i.sql' => "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY ai ON a (i);\n-- +goose Down\nDROP INDEX CONCURRENTLY ai;\n" });
layout_ok('sql-migrate', 'sql-migrate', '1_a',
	{ '1_a.sql' => "-- +migrate Up\nCREATE TABLE a (i int);\n-- +migrate Down\nDROP TABLE a;\n" });
layout_ok('node-pg-migrate', 'node-pg-migrate', '1_a',
	{ '1_a.sql' => "-- Up Migration\nCREATE TABLE a (i int);\n-- Down Migration\nDROP TABLE a;\n" });
layout_ok('sqitch', 'sqitch', 'appschema users',
	{ 'sqitch.plan' => "%syntax-version=1.0.0\n%project=x\n\nappschema 2026-01-01T00:00:00Z A <a\@b> # note\n\@v1 2026-01-01T00:00:00Z A <a\@b> # tag\nusers [appschema] 2026-01-02T00:00:00Z A <a\@b> # note\n",
	  'deploy/appschema.sql' => "BEGIN;\nCREATE SCHEMA app;\nCOMMIT;\n", 'revert/appschema.sql' => "BEGIN;\nDROP SCHEMA app;\nCOMMIT;\n",
	  'deploy/users.sql' => "-- Deploy x:users to pg\nBEGIN;\nSET client_min_messages = 'warning';\nCREATE TABLE app.users (i int);\nCOMMIT;\n",
	  'revert/users.sql' => "BEGIN;\nDROP TABLE app.users;\nCOMMIT;\n" });
layout_ok('Prisma', 'prisma', '20260101000000_init 20260102000000_more',
	{ '20260101000000_init/migration.sql' => 'CREATE TABLE "A" (i int);', '20260102000000_more/migration.sql' => 'ALTER TABLE "A" ADD j int;',
	  'migration_lock.toml' => 'provider = "postgresql"' }, no_down => 1);
layout_ok('Prisma sorts names as text', 'prisma', '20250101000000_init 20250625_date_only 20260102000000_more',
	{ '20250625_date_only/migration.sql' => 'ALTER TABLE a ADD j int;', '20250101000000_init/migration.sql' => 'CREATE TABLE a (i int);',
	  '20260102000000_more/migration.sql' => 'ALTER TABLE a RENAME j TO k;' }, no_down => 1);
layout_ok('times with digits too few and too many, as diesel sorts them', 'folder',
	'2020-12-06-235959_a 2020-12-7-190800_b 2022-03-09-07000_c 2023-05-23-1715-d 2023-05-24-000000_e 2023-05-24-000000-0001_f',
	{ '2020-12-06-235959_a/up.sql' => 'CREATE TABLE a (i int);', '2020-12-7-190800_b/up.sql' => 'ALTER TABLE a RENAME TO b;',
	  '2022-03-09-07000_c/up.sql' => 'ALTER TABLE b RENAME TO c;', '2023-05-23-1715-d/up.sql' => 'ALTER TABLE c RENAME TO d;',
	  '2023-05-24-000000_e/up.sql' => 'ALTER TABLE d RENAME TO e;', '2023-05-24-000000-0001_f/up.sql' => 'ALTER TABLE e RENAME TO f;' });
layout_ok('diesel', 'folder', '20250101000000_old 2026-01-01-000000_a 2026-01-02-000000_i',
	{ '20250101000000_old/up.sql' => 'SELECT 1;', '20250101000000_old/down.sql' => 'SELECT 1;',
	  '2026-01-01-000000_a/up.sql' => 'CREATE TABLE a (i int);', '2026-01-01-000000_a/down.sql' => 'DROP TABLE a;',
	  '2026-01-02-000000_i/up.sql' => 'CREATE INDEX CONCURRENTLY ai ON a (i);', '2026-01-02-000000_i/down.sql' => 'DROP INDEX ai;',
	  '2026-01-02-000000_i/metadata.toml' => "run_in_transaction = false\n" });
layout_ok('graphile-migrate', 'graphile', '000001-a 000002-b',
	{ 'committed/000001-a.sql' => "--! Previous: -\n--! Hash: sha1:00\n\nCREATE TABLE a (i int);\n",
	  'committed/000002-b.sql' => "--! Previous: sha1:00\n--! Hash: sha1:01\n\nALTER TABLE a ADD j int;\n",
	  'current.sql' => '-- nothing' }, no_down => 1);
layout_ok('Liquibase formatted SQL', 'liquibase', '1_a:me:1 1_a:me:2',
	{ '1_a.sql' => "--liquibase formatted sql\n\n--changeset me:1\nCREATE TABLE a (i int);\n--rollback DROP TABLE a;\n\n--changeset me:2 runInTransaction:false\nCREATE INDEX CONCURRENTLY ai ON a (i);\n--rollback DROP INDEX ai;\n\n--changeset me:3 dbms:mysql\nx\n" });
my ($db, $dir) = layout_ok('Flyway', 'flyway', undef // sql_names('V1__a V1.2__b V1.10__c', 'R__v'),
	{ 'V1__a.sql' => 'CREATE TABLE a (i int);', 'V1.10__c.sql' => 'ALTER TABLE b RENAME TO ${c};',
	  'V1.2__b.sql' => 'ALTER TABLE a RENAME TO b;', 'R__v.sql' => 'CREATE OR REPLACE VIEW v AS SELECT i FROM c;',
	  'U1__a.sql' => 'DROP TABLE a;' },
	no_down => 1, args => [ '--set', 'c=c' ]);

# the name of a repeatable carries its checksum
sub sql_names
{
	use Digest::SHA qw(sha256_hex);
	my ($names, $repeatable) = @_;
	return "$names $repeatable\@" . substr(sha256_hex('CREATE OR REPLACE VIEW v AS SELECT i FROM c;'), 0, 8);
}
files($dir, 'R__v.sql' => 'CREATE OR REPLACE VIEW v AS SELECT i, 2 AS two FROM c;');
my ($rc, $out, $err) = upg('up', '-d', $db, '--set', 'c=c', $dir);
is($rc, 0, 'a changed repeatable runs again') or diag $err;
like($out, qr/1 applied/, 'it alone');
is(sql($db, 'SELECT count(*) FROM information_schema.columns WHERE table_name = \'v\''), 2, 'with its new text');
files($dir, 'R__v.sql' => 'DROP VIEW v; CREATE VIEW v AS SELECT i FROM c;');
upg('up', '-d', $db, '--set', 'c=c', $dir);
files($dir, 'R__v.sql' => 'CREATE OR REPLACE VIEW v AS SELECT i, 2 AS two FROM c;');
($rc, $out, $err) = upg('up', '-d', $db, '--set', 'c=c', $dir);
like($out, qr/applied     R__v\@\w{8}\.2/, 'back to an earlier text: runs again under another name') or diag $err;
($rc, $out, $err) = upg('up', '-d', $db, '--set', 'c=c', $dir);
like($out, qr/nothing to do/, 'and then there is nothing to do');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 2, 'a placeholder without a value: the applied script cannot be compared');
like($err, qr/placeholder/, 'and that is what it says');

# overrides and refusals
$dir = files(workdir(), '1_a.up.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => 'DROP TABLE a;');
$db = database('over');
($rc, $out, $err) = upg('plan', '-d', $db, '--layout=plain', $dir);
is($rc, 2, '--layout is obeyed') or diag $out;
like($err, qr/two migrations have the number 1/, 'and the files are read its way');
($rc, $out, $err) = upg('up', '-d', $db, files(workdir(), 'x.py' => ''));
is($rc, 2, 'migrations that are not SQL are refused');
like($err, qr/UPG-2025|holds no SQL files/, 'with a hint');
($rc, $out, $err) = upg('up', '-d', $db, files(workdir(), 'd/.keep' => ''));
is($rc, 0, 'an empty directory is no error');
like($err, qr/holds no migrations/, 'but is said');
($rc, $out, $err) = upg('plan', '-d', $db, files(workdir(), '0/1_a.up.sql' => 'SELECT 1', '1/2_b.up.sql' => 'SELECT 1'));
is($rc, 2, 'one whose folders hold the files is refused') or diag "$out$err";
like($err, qr{They are in folders below it, such as ".*/0/1_a\.up\.sql"}, '... and says where they are');

# new, register, adopt
$dir = files(workdir(), '0001_a.up.sql' => 'CREATE TABLE a (i int);', '0002_b.up.sql' => 'CREATE TABLE b (i int);');
($rc, $out, $err) = upg('new', '--down', 'add things', $dir);
is($rc, 0, 'new') or diag $err;
ok(-e "$dir/0003_add_things.up.sql" && -e "$dir/0003_add_things.down.sql", 'new writes both files with the next number');
$db = database('adopt');
($rc, $out, $err) = upg('adopt', '-d', $db, '--to', '0001_a', $dir);
is($rc, 0, 'adopt') or diag $err;
is(sql($db, q{SELECT string_agg(migration, ' ') FROM upg_status() WHERE state = 'applied'}), '0001_a', 'adopt --to records up to there');
is(sql($db, q{SELECT to_regclass('a') IS NULL}), 't', 'and runs nothing');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'up goes on from there') or diag $err;
is(sql($db, q{SELECT to_regclass('b') IS NOT NULL}), 't', 'with the next one');
like($out, qr/0003_add_things.*\(no statement\)/, 'an empty file is applied, and said to be empty');
$db = database('registered');
($rc, $out, $err) = upg('register', '-d', $db, $dir);
is($rc, 0, 'register') or diag $err;
is(sql($db, q{SELECT count(*) FROM upg_plan()}), 3, 'registered ones can be planned by SQL');
done_testing();
