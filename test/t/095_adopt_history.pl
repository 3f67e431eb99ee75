# upg adopt: the history tables of other tools, laid out as each tool makes them; the
# real dbmate and Sqitch too, where they are installed.
use strict;
use warnings;
use Compress::Raw::Zlib qw(crc32);
use Digest::SHA qw(sha1_hex sha256_hex sha384_hex);
use FindBin;
use IPC::Run qw(run);
use JSON::PP;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $number = 0;

# Names that the ledger calls applied, in order.
sub applied
{
	my ($db) = @_;
	return sql($db, q{SELECT coalesce(string_agg(migration, ' ' ORDER BY ord), '') FROM upg_status() WHERE state = 'applied'});
}

# A database with a history, adopted; what is then applied, and that "up" does the rest.
sub adopt_ok
{
	my ($name, $files, $history, $names, %opt) = @_;
	my $db  = database('h' . ++$number);
	my $dir = $opt{dir} ? files(workdir() . '/' . $opt{dir}, %$files) : files(workdir(), %$files);
	sql($db, $history);
	my ($rc, $out, $err) = upg('baseline', '-d', $db, '--dry-run', @{ $opt{args} // [] }, $dir);
	is($rc, 0, "$name: dry run") or diag $err;
	is(applied($db), '', "$name: the dry run records nothing");
	($rc, $out, $err) = upg('baseline', '-d', $db, '--json', @{ $opt{args} // [] }, $dir);
	is($rc, 0, "$name: adopted") or diag $err;
	my $doc = decode_json($out);
	is($doc->{tool}, $opt{tool}, "$name: tool");
	is(applied($db), $names, "$name: recorded");
	($rc, $out, $err) = upg('up', '-d', $db, $dir);
	is($rc, 0, "$name: up does the rest") or diag $err;
	($rc, $out, $err) = upg('baseline', '-d', $db, @{ $opt{args} // [] }, $dir);
	is($rc, 0, "$name: again") or diag $err;
	like($out, qr/nothing to record/, "$name: again, nothing");
	return ($db, $dir, $doc);
}

# A history that must be refused: exit code, error code, what the message names.
sub adopt_refused
{
	my ($name, $files, $history, $exit, $code, $like, @args) = @_;
	my $db  = database('h' . ++$number);
	my $dir = files(workdir(), %$files);
	sql($db, $history);
	my ($rc, $out, $err) = upg('adopt', '-d', $db, '--json', @args, $dir);
	is($rc, $exit, "$name: exit code") or diag $err;
	my $doc = decode_json($out);
	is($doc->{error}{code}, $code, "$name: code");
	like(join(q( ), map { $_ // q() } @{ $doc->{error} }{qw(what why fix)}), $like, "$name: message");
	is(applied($db), '', "$name: nothing is recorded");
	return ($db, $dir);
}

my %abc = (
	'1_a.up.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => 'DROP TABLE a;',
	'2_b.up.sql' => 'CREATE TABLE b (i int);', '2_b.down.sql' => 'DROP TABLE b;',
	'3_c.up.sql' => 'CREATE TABLE c (i int);', '3_c.down.sql' => 'DROP TABLE c;');
my $ab = 'CREATE TABLE a (i int); CREATE TABLE b (i int);';

# golang-migrate: one row, all up to it
my $golang = 'CREATE TABLE public.schema_migrations (version bigint not null primary key, dirty boolean not null);';
my ($db, $dir, $doc) = adopt_ok('golang-migrate', \%abc, "$ab $golang INSERT INTO schema_migrations VALUES (2, false)",
	'1_a 2_b', tool => 'golang-migrate');
is($doc->{recorded}, 2, 'recorded');
is($doc->{left},     1, 'left for up');
is($doc->{table}, 'public.schema_migrations', 'table');
is(sql($db, q{SELECT options->>'adopted_from' FROM upg.migrations WHERE name = '1_a'}), 'golang-migrate', 'where it is from');
adopt_refused('golang-migrate, dirty', \%abc, "$golang INSERT INTO schema_migrations VALUES (2, true)",
	1, 'UPG-2031', qr/failed: 2.*migrate force/s);
adopt_refused('golang-migrate, dirty at the first', \%abc, "$golang INSERT INTO schema_migrations VALUES (-1, true)",
	1, 'UPG-2031', qr/failed: -1/);
adopt_refused('golang-migrate, file missing', \%abc, "$golang INSERT INTO schema_migrations VALUES (4, false)",
	8, 'UPG-2032', qr/lacks.*: 4/);
adopt_ok('golang-migrate, nothing applied', \%abc, $golang, '', tool => 'golang-migrate');
adopt_ok('golang-migrate, another table', \%abc,
	"$ab CREATE SCHEMA s; CREATE TABLE s.\"My versions\" (version bigint not null primary key, dirty boolean not null);"
	  . 'INSERT INTO s."My versions" VALUES (2, false)', '1_a 2_b', tool => 'golang-migrate',
	args => [ '--history-table', 's."My versions"' ]);

# dbmate, Rails: a row each
my $dbmate = 'CREATE TABLE public.schema_migrations (version character varying(128) primary key);';
my %dbmate = map { ("2026010${_}000000_$_.sql" => "-- migrate:up\nCREATE TABLE t$_ (i int);\n-- migrate:down\nDROP TABLE t$_;\n") } 1 .. 3;
my $t12 = 'CREATE TABLE t1 (i int); CREATE TABLE t2 (i int);';
adopt_ok('dbmate', \%dbmate, "$t12 $dbmate INSERT INTO schema_migrations VALUES ('20260101000000'), ('20260102000000')",
	'20260101000000_1 20260102000000_2', tool => 'dbmate');
adopt_ok('dbmate, a gap', \%dbmate, "CREATE TABLE t1 (i int); CREATE TABLE t3 (i int); $dbmate INSERT INTO schema_migrations VALUES ('20260101000000'), ('20260103000000')",
	'20260101000000_1 20260103000000_3', tool => 'dbmate');
my @gone = ("$t12 $dbmate INSERT INTO schema_migrations VALUES ('20260101000000'), ('20250101000000'), ('20250102000000')");
adopt_refused('dbmate, files missing', \%dbmate, @gone, 8, 'UPG-2032', qr/20250101000000, 20250102000000.*1 of 3.*allow-missing/s);
adopt_refused('dbmate, a wrong directory is never tolerated', \%dbmate,
	"$dbmate INSERT INTO schema_migrations VALUES ('20250101000000')", 8, 'UPG-2032', qr/0 of 1/, '--allow-missing');
($db, $dir) = (database('h' . ++$number), files(workdir(), %dbmate));
sql($db, $gone[0]);
my ($rc, $out, $err) = upg('adopt', '-d', $db, '--allow-missing', $dir);
is($rc, 0, 'dbmate, files missing on purpose') or diag $err;
like($err, qr/"20250102000000", which is not in the directory/, 'they are named');
is(applied($db), '20260101000000_1', 'the others are recorded');

# Flyway
my $flyway = <<'SQL';
CREATE TABLE public.flyway_schema_history (
    installed_rank INT NOT NULL, version VARCHAR(50), description VARCHAR(200) NOT NULL,
    type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, checksum INTEGER,
    installed_by VARCHAR(100) NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT now(),
    execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL);
ALTER TABLE public.flyway_schema_history ADD CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank);
CREATE INDEX flyway_schema_history_s_idx ON public.flyway_schema_history (success);
SQL
my $rank = 0;

# A row of Flyway; its checksum counts lines without their ends, as a signed number.
sub flyway_row
{
	my ($version, $script, $text, %opt) = @_;
	my $sum = 'NULL';
	if (defined $text)
	{
		(my $lines = $text) =~ s/\r\n|\r|\n//g;
		$lines =~ s/^\xEF\xBB\xBF//;
		$sum = unpack('l', pack('L', crc32($lines)));
	}
	return sprintf("INSERT INTO flyway_schema_history VALUES (%d, %s, 'd', '%s', '%s', %s, 'alice', '2026-01-02 03:04:05', 7, %s);\n",
		++$rank, defined $version ? "'$version'" : 'NULL', $opt{type} // 'SQL', $script, $sum, $opt{success} // 'true');
}
my $a = "CREATE TABLE a (i int);\r\nINSERT INTO a VALUES (1);\r\n";
my $b = "\xEF\xBB\xBFCREATE TABLE b (t text DEFAULT 'h\xC3\xA9');\n-- \xE2\x82\xAC\n";
my $v = "CREATE OR REPLACE VIEW v AS SELECT '\${who}' AS who;\n";
(my $v_run = $v) =~ s/\$\{who\}/me/;
my %flyway = ('V1__a.sql' => $a, 'V1_1__b.sql' => $b, 'V002__c.sql' => 'CREATE TABLE c (i int);',
	'R__v.sql' => $v, 'R__w.sql' => 'CREATE OR REPLACE VIEW w AS SELECT 2;');
my $made = "CREATE TABLE a (i int); CREATE TABLE b (t text); CREATE VIEW v AS SELECT 'me'::text AS who;"
  . 'CREATE VIEW w AS SELECT 1;';
{
	my $history = "$made $flyway" . flyway_row(undef, '<< Flyway Schema Creation >>', undef, type => 'SCHEMA')
	  . flyway_row('1', 'V1__a.sql', $a) . flyway_row('1.1', 'sub/V1_1__b.sql', $b)
	  . flyway_row(undef, 'R__v.sql', $v_run) . flyway_row(undef, 'R__w.sql', 'CREATE VIEW w AS SELECT 1;');
	my $base = database('h' . ++$number);
	sql($base, $history);
	my $files = files(workdir(), %flyway);
	my ($code, $said, $why) = upg('adopt', '-d', $base, '--set', 'who=me', $files);
	is($code, 0, 'Flyway: adopted') or diag $why;
	is(applied($base), 'V1__a V1_1__b R__v@' . substr(sha256_hex($v_run), 0, 8), 'Flyway: recorded; a changed repeatable is not');
	like($said, qr/V1__a  \(flyway, 2026-01-02 03:04:05, alice\)/, 'Flyway: when and by whom');
	($code, $said, $why) = upg('up', '-d', $base, '--set', 'who=me', $files);
	is($code, 0, 'Flyway: up') or diag $why;
	like($said, qr/V002__c.*R__w@/s, 'Flyway: the rest is done');
}
adopt_refused('Flyway, a file was edited', { %flyway, 'V1__a.sql' => "$a-- more" }, "$flyway" . flyway_row('1', 'V1__a.sql', $a),
	8, 'UPG-2032', qr/differ.*V1__a.*allow-changed/s);
adopt_refused('Flyway, failed', \%flyway, $flyway . flyway_row('1', 'V1__a.sql', $a, success => 'false'),
	1, 'UPG-2031', qr/failed: 1.*flyway repair/s);
my %versions = map { ("V$_\__x.sql" => "CREATE TABLE \"x$_\" (i int);") } qw(1 2 3);
adopt_ok('Flyway, a baseline', \%versions, 'CREATE TABLE x1 (i int); CREATE TABLE x2 (i int);'
	  . $flyway . flyway_row('2', '<< Flyway Baseline >>', undef, type => 'BASELINE'), 'V1__x V2__x', tool => 'flyway');
adopt_ok('Flyway, undone', \%versions, 'CREATE TABLE x1 (i int);'
	  . $flyway . flyway_row('1', 'V1__x.sql', $versions{'V1__x.sql'}) . flyway_row('2', 'V2__x.sql', $versions{'V2__x.sql'})
	  . flyway_row('2', 'U2__x.sql', undef, type => 'UNDO_SQL'), 'V1__x', tool => 'flyway');
adopt_ok('Flyway, a program', \%versions, 'CREATE TABLE x1 (i int);'
	  . $flyway . flyway_row('1', 'V1__x.sql', $versions{'V1__x.sql'}) . flyway_row('1.5', 'db.migration.V1_5__J', undef, type => 'JDBC'),
	'V1__x', tool => 'flyway');
adopt_ok('Flyway, a file that was edited harmlessly', { %versions, 'V1__x.sql' => 'CREATE TABLE x1 (i int); --' },
	'CREATE TABLE x1 (i int);' . $flyway . flyway_row('1', 'V1__x.sql', 'CREATE TABLE x1 (i int);'),
	'V1__x', tool => 'flyway', args => ['--allow-changed']);

# Prisma
my $prisma = <<'SQL';
CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0);
SQL
my %prisma = map { ("2026010${_}000000_p/migration.sql" => "CREATE TABLE p$_ (\n  i int);\n") } 1 .. 3;
my ($p1, $p2) = map { sha256_hex($prisma{"2026010${_}000000_p/migration.sql"}) } 1, 2;
my $p_done = sub { "INSERT INTO _prisma_migrations VALUES (gen_random_uuid(), '$_[1]', now(), '2026010$_[0]000000_p', NULL, NULL, now(), 1);" };
adopt_ok('Prisma', \%prisma,
	'CREATE TABLE p1 (i int); CREATE TABLE p2 (i int);' . $prisma
	  . "INSERT INTO _prisma_migrations VALUES ('x', '$p1', NULL, '20260101000000_p', 'boom', now(), now() - interval '1 day', 0);"
	  . $p_done->(1, $p1) . $p_done->(2, sha256_hex("CREATE TABLE p2 (\r\n  i int);\r\n")),
	'20260101000000_p 20260102000000_p', tool => 'prisma');
adopt_refused('Prisma, failed', \%prisma,
	"$prisma INSERT INTO _prisma_migrations VALUES ('x', '$p1', NULL, '20260101000000_p', 'boom', NULL, now(), 0);",
	1, 'UPG-2031', qr/20260101000000_p.*prisma migrate resolve/s);
adopt_refused('Prisma, edited', \%prisma, $prisma . $p_done->(1, $p2), 8, 'UPG-2032', qr/differ.*20260101000000_p/s);

# diesel, and Hasura before and after version 2
my %folders = ('2026-01-01-000000_a/up.sql' => 'CREATE TABLE a (i int);', '2026-01-01-000000_a/down.sql' => 'DROP TABLE a;',
	'2026-01-02-000000_b/up.sql' => 'CREATE TABLE b (i int);', '2026-01-02-000000_b/down.sql' => 'DROP TABLE b;',
	'00000000000000_setup/up.sql' => 'SELECT 1;', '00000000000000_setup/down.sql' => 'SELECT 1;');
my $diesel = 'CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);';
adopt_ok('diesel', \%folders, "CREATE TABLE a (i int); $diesel INSERT INTO __diesel_schema_migrations (version) VALUES ('00000000000000'), ('20260101000000')",
	'00000000000000_setup 2026-01-01-000000_a', tool => 'diesel');
my %hasura = ('1577361004000_a/up.sql' => 'CREATE TABLE a (i int);', '1577361004000_a/down.sql' => 'DROP TABLE a;',
	'1577361005000_b/up.sql' => 'CREATE TABLE b (i int);');
adopt_ok('Hasura 1', \%hasura, 'CREATE TABLE a (i int); CREATE SCHEMA hdb_catalog;'
	  . 'CREATE TABLE hdb_catalog.schema_migrations (version BIGINT PRIMARY KEY, dirty BOOLEAN NOT NULL);'
	  . 'INSERT INTO hdb_catalog.schema_migrations VALUES (1577361004000, false)', '1577361004000_a', tool => 'hasura');
my $hdb = q{CREATE SCHEMA hdb_catalog; CREATE TABLE hdb_catalog.hdb_version (hasura_uuid UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    version TEXT NOT NULL, upgraded_on TIMESTAMPTZ NOT NULL, cli_state JSONB NOT NULL DEFAULT '{}'::jsonb,
    console_state JSONB NOT NULL DEFAULT '{}'::jsonb, ee_client_id TEXT, ee_client_secret TEXT);
    CREATE UNIQUE INDEX hdb_version_one_row ON hdb_catalog.hdb_version ((version IS NOT NULL));
    INSERT INTO hdb_catalog.hdb_version (version, upgraded_on, cli_state) VALUES ('48', now(), };
adopt_ok('Hasura 2', \%hasura, "CREATE TABLE a (i int); $hdb" . q{'{"settings": {"migration_mode": "true"}, "migrations": {"default": {"1577361004000": false}}}')},
	'1577361004000_a', tool => 'hasura');
adopt_ok('Hasura 2, several databases', \%hasura, "CREATE TABLE a (i int); $hdb" . q{'{"migrations": {"one": {"5": false}, "two": {"1577361004000": false}}}')},
	'1577361004000_a', tool => 'hasura', dir => 'two');
adopt_refused('Hasura 2, none of these databases', \%hasura, "$hdb" . q{'{"migrations": {"one": {"5": false}, "two": {"6": false}}}')},
	8, 'UPG-2032', qr/"one", "two"/);
adopt_refused('Hasura 2, dirty', \%hasura, "$hdb" . q{'{"migrations": {"default": {"1577361004000": true}}}')},
	1, 'UPG-2031', qr/1577361004000.*hasura migrate/s);

# goose: the latest line of a version counts
my %goose = map { ("0000${_}_g.sql" => "-- +goose Up\nCREATE TABLE g$_ (i int);\n-- +goose Down\nDROP TABLE g$_;\n") } 1 .. 3;
adopt_ok('goose', \%goose, q{CREATE TABLE g1 (i int);
	CREATE TABLE goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL,
	    is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now());
	INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (2, false)}, '00001_g', tool => 'goose');

# sql-migrate, sqlx, node-pg-migrate
adopt_ok('sql-migrate', { '1_a.sql' => "-- +migrate Up\nCREATE TABLE a (i int);\n", '2_b.sql' => "-- +migrate Up\nCREATE TABLE b (i int);\n" },
	q{CREATE TABLE a (i int); CREATE TABLE gorp_migrations (id text not null primary key, applied_at timestamp with time zone);
	INSERT INTO gorp_migrations VALUES ('1_a.sql', now())}, '1_a', tool => 'sql-migrate');
my $sqlx = q{CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
	success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL);};
my $sqlx_row = sub { "INSERT INTO _sqlx_migrations VALUES (1, 'a', now(), $_[0], decode('" . sha384_hex($_[1]) . "', 'hex'), 5)" };
adopt_ok('sqlx', \%abc, "CREATE TABLE a (i int); $sqlx" . $sqlx_row->('true', $abc{'1_a.up.sql'}), '1_a', tool => 'sqlx');
adopt_refused('sqlx, edited', \%abc, $sqlx . $sqlx_row->('true', 'x'), 8, 'UPG-2032', qr/1_a/);
adopt_refused('sqlx, failed', \%abc, $sqlx . $sqlx_row->('false', $abc{'1_a.up.sql'}), 1, 'UPG-2031', qr/failed: 1/);
adopt_ok('node-pg-migrate', { '1_a.sql' => "-- Up Migration\nCREATE TABLE a (i int);\n", '2_b.sql' => "-- Up Migration\nCREATE TABLE b (i int);\n" },
	q{CREATE TABLE a (i int); CREATE TABLE pgmigrations (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
	INSERT INTO pgmigrations (name, run_on) VALUES ('1_a', now())}, '1_a', tool => 'node-pg-migrate');

# which history, and none
adopt_refused('several histories', { '1_a.sql' => 'SELECT 1;' },
	"$golang CREATE SCHEMA x; CREATE TABLE x.pgmigrations (id int, name text, run_on timestamp); SET search_path = x; ALTER DATABASE h" . ($number + 1) . ' SET search_path = public, x',
	2, 'UPG-2030', qr/golang-migrate.*node-pg-migrate.*--from/s);
adopt_refused('not there', \%abc, 'SELECT 1', 1, 'UPG-2030', qr/no history of flyway.*flyway_schema_history/s, '--from=flyway');
adopt_refused('not one', \%abc, 'CREATE TABLE t (i int)', 1, 'UPG-2030', qr/not the history of a tool/, '--history-table=t');
adopt_refused('unknown tool', \%abc, 'SELECT 1', 2, 'UPG-2000', qr/"floway".*golang-migrate/s, '--from=floway');
adopt_refused('files have no table', \%abc, 'SELECT 1', 2, 'UPG-2000', qr/exclude/, '--from=files', '--history-table=t');
($db, $dir) = (database('h' . ++$number), files(workdir(), %abc));
sql($db, "$golang INSERT INTO schema_migrations VALUES (1, true)");
($rc, $out, $err) = upg('adopt', '-d', $db, '--from=files', $dir);
is(applied($db), '1_a 2_b 3_c', 'by the files alone') or diag $err;
($db, $dir) = (database('h' . ++$number), files(workdir(), %abc));
sql($db, "$golang INSERT INTO schema_migrations VALUES (1, false)");
($rc, $out, $err) = upg('adopt', '-d', $db, '--to=2', $dir);
is(applied($db), '1_a 2_b', '--to says it by itself') or diag $err;

# a role that may not read the history, and a search path that lies
sql('postgres', 'CREATE ROLE adopter LOGIN; GRANT upg_operator TO adopter');
($db, $dir) = (database('h' . ++$number), files(workdir(), %abc));
sql($db, "$ab $golang INSERT INTO schema_migrations VALUES (2, false);"
	  . 'CREATE SCHEMA evil; CREATE FUNCTION evil.no(bigint, integer) RETURNS boolean LANGUAGE sql AS $$SELECT 1/0 = 1$$;'
	  . "ALTER DATABASE $db SET search_path = evil, public, pg_catalog");
($rc, $out, $err) = upg('adopt', '-d', $db, '-U', 'adopter', $dir);
is($rc, 9, 'not permitted to read the history');
like($err, qr/Ask for SELECT on public.schema_migrations/, 'what to ask for');
sql($db, 'GRANT SELECT ON schema_migrations TO adopter');
($rc, $out, $err) = upg('adopt', '-d', $db, '-U', 'adopter', $dir);
is($rc, 0, 'permitted') or diag $err;

# the real ones
SKIP:
{
	my ($dbmate_program) = grep { -x } map { "$_/dbmate" } "$FindBin::Bin/../../build/tools/node_modules/.bin", split /:/, $ENV{PATH};
	skip 'dbmate is not installed', 3 unless $dbmate_program;
	($db, $dir) = (database('h' . ++$number), files(workdir(), %dbmate));
	unlink "$dir/20260103000000_3.sql";
	run([ $dbmate_program, '--url', "postgres://$ENV{PGUSER}\@:$ENV{PGPORT}/$db?host=$ENV{PGHOST}&sslmode=disable",
			'--migrations-dir', $dir, '--no-dump-schema', 'up' ], \undef, \my $said, \my $why)
	  or diag("dbmate failed");
	files($dir, '20260103000000_3.sql' => $dbmate{'20260103000000_3.sql'});
	($rc, $out, $err) = upg('adopt', '-d', $db, $dir);
	is($rc, 0, 'real dbmate: adopted') or diag $err;
	is(applied($db), '20260101000000_1 20260102000000_2', 'real dbmate: recorded');
	($rc, $out, $err) = upg('up', '-d', $db, $dir);
	is($rc, 0, 'real dbmate: up') or diag $err;
}

my %sqitch = (
	'sqitch.conf' => "[core]\n\tengine = pg\n\t# comment\n[user]\n\tname = A B\n\temail = a\@b.c\n[deploy \"variables\"]\n\twho = world\n",
	'sqitch.plan' => "%syntax-version=1.0.0\n%project=shop\n%uri=https://example.org/shop/\n\n"
	  . "app 2026-01-01T00:00:00Z A B <a\@b.c> # the schema\n"
	  . "users [app] 2026-01-02T00:00:00Z A B <a\@b.c> # users\\nof it\n\@v1.0 2026-01-02T00:00:01Z A B <a\@b.c> # first\n\n"
	  . "users [users\@v1.0 app !other:gone] 2026-01-03T00:00:00Z A B <a\@b.c> # h\xC3\xA9llo\n"
	  . "last [users app\@v1.0] 2026-01-04T00:00:00Z A B <a\@b.c>\n",
	'deploy/app.sql'          => "BEGIN;\nCREATE SCHEMA app;\nCOMMIT;\n",
	'revert/app.sql'          => "DROP SCHEMA app;\n",
	'deploy/users@v1.0.sql' => "CREATE TABLE app.users (name text DEFAULT :'who');\n",
	'revert/users@v1.0.sql' => "DROP TABLE app.users;\n",
	'deploy/users.sql'        => "ALTER TABLE app.users ADD j int;\n",
	'revert/users.sql'        => "ALTER TABLE app.users DROP j;\n",
	'deploy/last.sql'         => "CREATE TABLE app.last (i int);\n",
	'revert/last.sql'         => "DROP TABLE app.last;\n");
my $registry = <<'SQL';
CREATE SCHEMA sqitch;
CREATE TABLE sqitch.projects (project TEXT PRIMARY KEY, uri TEXT NULL UNIQUE, created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    creator_name TEXT NOT NULL, creator_email TEXT NOT NULL);
CREATE TABLE sqitch.changes (change_id TEXT PRIMARY KEY, script_hash TEXT NULL, change TEXT NOT NULL,
    project TEXT NOT NULL REFERENCES sqitch.projects(project) ON UPDATE CASCADE, note TEXT NOT NULL DEFAULT '',
    committed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(), committer_name TEXT NOT NULL, committer_email TEXT NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL, planner_name TEXT NOT NULL, planner_email TEXT NOT NULL, UNIQUE (project, script_hash));
INSERT INTO sqitch.projects VALUES ('shop', NULL, now(), 'A', 'a@b.c'), ('other', NULL, now(), 'A', 'a@b.c');
SQL
my $change = sub {
	my ($name, $file, $project) = @_;
	return "INSERT INTO sqitch.changes VALUES ('" . sha1_hex("$name$file") . "', '" . sha1_hex($sqitch{"deploy/$file.sql"} // $file)
	  . "', '$name', '" . ($project // 'shop') . "', '', clock_timestamp(), 'A B', 'a\@b.c', now(), 'A B', 'a\@b.c');\n";
};
{
	my $base = database('h' . ++$number);
	my $plan = files(workdir(), %sqitch);
	sql($base, 'CREATE SCHEMA app; CREATE TABLE app.users (name text);' . $registry
		  . $change->('elsewhere', 'elsewhere', 'other') . $change->('app', 'app') . $change->('users', 'users@v1.0'));
	my ($code, $said, $why) = upg('adopt', '-d', $base, $plan);
	is($code, 0, 'Sqitch: adopted') or diag $why;
	is(applied($base), 'app users@v1.0', 'Sqitch: the first form of a reworked change only');
	like($why, qr/"app" stands otherwise in the plan/, 'Sqitch: another change id is named');
	($code, $said, $why) = upg('up', '-d', $base, $plan);
	is($code, 0, 'Sqitch: up') or diag $why;
	is(applied($base), 'app users@v1.0 users last', 'Sqitch: the rest');
	is(sql($base, q{SELECT array_to_string(requires, ',') FROM upg.migrations WHERE name = 'last'}), 'users,app', 'Sqitch: tags of requirements');
}
adopt_refused('Sqitch, edited', { %sqitch, 'deploy/app.sql' => 'SELECT 2;' }, $registry . $change->('app', 'app'), 8, 'UPG-2032', qr/differ.*app/s);
adopt_refused('Sqitch, another project', { %sqitch, 'sqitch.plan' => $sqitch{'sqitch.plan'} =~ s/project=shop/project=mine/r },
	$registry . $change->('app', 'app'), 8, 'UPG-2032', qr/no project "mine".*"shop"/s);
SKIP:
{
	skip 'sqitch is not installed', 5 unless grep { -x "$_/sqitch" } split /:/, $ENV{PATH};
	my $base = database('h' . ++$number);
	my $plan = files(workdir(), %sqitch);
	my $target = "db:pg://$ENV{PGUSER}\@:$ENV{PGPORT}/$base?host=$ENV{PGHOST}";
	local $ENV{HOME} = $plan;
	run([ 'sqitch', '--chdir', $plan, 'deploy', '--to', '@v1.0', $target ], \undef, \my $said, \my $why) or diag("sqitch failed");
	my ($rc2, $out2, $err2) = upg('adopt', '-d', $base, $plan);
	is($rc2, 0, 'real Sqitch: adopted') or diag $err2;
	is(applied($base), 'app users@v1.0', 'real Sqitch: recorded');
	unlike($err2, qr/stands otherwise/, 'real Sqitch: the change ids are the same');
	run([ 'sqitch', '--chdir', $plan, 'deploy', $target ], \undef, \$said, \$why) or diag "$said $why";
	($rc2, $out2, $err2) = upg('adopt', '-d', $base, $plan);
	is(applied($base), 'app users@v1.0 users last', 'real Sqitch: reworked and later ones') or diag $err2;
	unlike($err2, qr/stands otherwise/, 'real Sqitch: ids with requirements, conflicts, notes') or diag $err2;
}
done_testing();
