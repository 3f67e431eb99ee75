# No down scripts: up with --undo, down, finalize, by the command line alone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run ();
use JSON::PP qw(decode_json);
use Test::More;
use UpgTest;

server_start();
my $db = database('bank');
my ($rc, $out, $err);

sql($db, q{CREATE TABLE acc (id int PRIMARY KEY, owner text NOT NULL, bal numeric(10,2));
	INSERT INTO acc SELECT g, 'o' || g, g FROM generate_series(1, 5000) g;
	CREATE VIEW rich AS SELECT * FROM acc WHERE bal > 100});
my $dir = files(workdir(), '1_drop.sql' => "DROP VIEW rich;\nALTER TABLE acc DROP COLUMN owner;\n",
	'2_type.sql' => "ALTER TABLE acc ALTER bal TYPE bigint;\nUPDATE acc SET bal = bal * 2;\n",
	'3_gone.sql' => "TRUNCATE acc;\n",
	'4_out.sql' => "COPY acc TO PROGRAM 'cat >/dev/null';\n");
upg('init', '-d', $db);

my $sums = q{SELECT upg_schema_fingerprint() || md5(string_agg(acc::text, '' ORDER BY id)) FROM acc};
my $before = sql($db, $sums);

($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
is($rc, 1, 'what cannot be taken back is refused');
like($err, qr/COPY \.\.\. PROGRAM cannot be taken back/, '... by name');
is(sql($db, q{SELECT string_agg(migration || ' ' || undo, ', ' ORDER BY ord) FROM upg_status() WHERE state = 'applied'}),
	'1_drop exact, 2_type exact, 3_gone exact', 'the rest is applied, its way back proven exact');
is(sql($db, 'SELECT count(*) FROM acc'), 0, 'the rows are gone');

($rc, $out, $err) = upg('down', '-d', $db, '--dry-run');
is($rc, 0, 'a dry run of the way back');
is(sql($db, 'SELECT count(*) FROM acc'), 0, '... changes nothing');

($rc, $out, $err) = upg('down', '-d', $db, '--all', '--yes');
is($rc, 0, 'down, without any down script') or diag($err);
is(sql($db, $sums), $before, 'schema and rows are what they were');
is(sql($db, 'SELECT count(*) FROM rich'), 4900, 'the view works');

unlink "$dir/4_out.sql";
($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
is($rc, 0, 'up again') or diag($err);
($rc, $out, $err) = upg('finalize', '-d', $db, '--yes', '3_gone');
is($rc, 0, 'finalize') or diag($err);
($rc, $out, $err) = upg('finalize', '-d', $db, '--yes', '3_gone');
isnt($rc, 0, 'a second time there is nothing to give up');
like($err, qr/has no undo to give up/, '... and it says so');
($rc, $out, $err) = upg('down', '-d', $db, '--yes');
isnt($rc, 0, 'what is finalized does not come back');
like($err, qr/cannot be rolled back/, '... and it says so');
($rc, $out, $err) = upg('finalize', '-d', $db, '--yes', '--json', '2_type');
is(decode_json($out)->{state}, 'finalized', 'finalize --json');
($rc, $out, $err) = upg('up', '-d', $db, '--undo=perhaps', $dir);
is($rc, 2, 'an unrecognized mode is wrong usage');
is(sql($db, 'SELECT ok FROM upg_audit_verify()'), 't', 'the audit trail is intact');

# Nobody has to ask for it; the plan says what would be refused, and a file may
# say what it wants, or the run.
$db = database('asked');
$dir = files(workdir(), '1_t.up.sql' => "CREATE TABLE t (i int);\nINSERT INTO t VALUES (1);\n", '1_t.down.sql' => "DROP TABLE t;\n",
	'2_n.up.sql' => "INSERT INTO t VALUES (2);\n\nNOTIFY two;\n", '3_i.up.sql' => "CREATE INDEX CONCURRENTLY t_i ON t (i);\nVACUUM t;\n");
($rc, $out, $err) = upg('plan', '-d', $db, $dir);
is($rc, 0, 'plan') or diag($err);
like($out, qr/1_t .*one transaction, undo and a down script$/m, '... by what each goes back');
like($out, qr/2_n .*, undo\n +line 3: NOTIFY cannot be taken back: .*\n +it will be refused, unless/, '... what no undo takes back');
like($out, qr/3_i .*commit one by one, undo$/m, '... and what no transaction holds is no such thing');
($rc, $out, $err) = upg('plan', '-d', $db, '--undo=none', $dir);
like($out, qr/1_t .*, down script$/m, 'without an undo: the down script');
like($out, qr/2_n .*, no way back$/m, '... or nothing');
unlike($out, qr/NOTIFY/, '... and nothing is refused');
my $plan = decode_json((upg('plan', '-d', $db, '--json', $dir))[1])->{plan};
is($plan->[1]{undo}, 'required', '--json: what is asked for');
like($plan->[1]{irreversible}[0], qr/line 3: NOTIFY/, '... and what is in the way');

# ... and what copying dropped columns reads
my $wide = database('wide');
sql($wide, q{CREATE TABLE w (i int PRIMARY KEY, v text); INSERT INTO w SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g; ANALYZE w});
my $drops = files(workdir(), '1_w.sql' => "SELECT 1;\nALTER TABLE w DROP COLUMN v;\n");
($rc, $out, $err) = upg('plan', '-d', $wide, $drops);
like($out, qr/^ +line 2: dropped values of public\.w are copied: \d+ kB to read, about 1000 rows to keep$/m, 'the cost of a dropped column');
sql($wide, q{ALTER DATABASE wide SET upg.undo_copy_limit = '8kB'});
($rc, $out, $err) = upg('plan', '-d', $wide, $drops);
like($out, qr/line 2: dropped values of public\.w stay in place only: \d+ kB is above upg\.undo_copy_limit \(8kB\)/, '... or that it is not copied');
my $cost = decode_json((upg('plan', '-d', $wide, '--json', $drops))[1])->{plan}[0]{undo_cost}[0];
is($cost->{copied} ? 'copied' : 'in place', 'in place', '--json: the same');
is($cost->{rows}, 1000, '... with the rows');

($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'refused');
like($err, qr/NOTIFY cannot be taken back.*Who has heard it.*--undo=best_effort.*/s, '... with the reason and what to do');
is(sql($db, 'SELECT count(*) FROM t'), 1, '... before anything of it runs');
files($dir, '2_n.up.sql' => "-- upg:undo best_effort\nINSERT INTO t VALUES (2);\n\nNOTIFY two;\n");
($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
is($rc, 1, 'the word of the run counts more than that of the file');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'the file accepts it') or diag($err);
is(sql($db, q{SELECT string_agg(undo, ' ' ORDER BY ord) FROM upg_status()}), 'exact inexact exact', '... it alone');
($rc, $out, $err) = upg('status', '-d', $db, $dir);
like($out, qr/1_t .*exact, given/, 'the status shows that there are two ways back');

($rc, $out, $err) = upg('down', '-d', $db, '--all', '--yes', '--dry-run', '--method=given');
isnt($rc, 0, 'by down scripts alone: there is none for the last') or diag($out);
($rc, $out, $err) = upg('down', '-d', $db, '--to', '1_t', '--yes');
is($rc, 0, 'down') or diag($err);
like($out, qr/rolled_back 3_i .*by its undo\nrolled_back 2_n .*by its undo/, '... says by what');
is(sql($db, 'SELECT count(*) FROM t'), 1, '... with the rows');
($rc, $out, $err) = upg('down', '-d', $db, '--dry-run', '--method=given');
like($out, qr/planned +1_t .*by its down script/, 'the other way, on demand');
($rc, $out, $err) = upg('down', '-d', $db, '--method=given');
is($rc, 0, '... goes back') or diag($err);
is(sql($db, q{SELECT method FROM upg.rollback_records WHERE migration = '1_t'}), 'given', '... and is on record');
($rc, $out, $err) = upg('down', '-d', $db, '--method=luck');
is($rc, 2, 'an unrecognized method is wrong usage');

# Files that the client drives, several in one transaction: each has an undo of its own.
$db = database('driven');
$dir = files(workdir(), '1_t.sql' => "CREATE TABLE t (i int PRIMARY KEY);\n",
	'2_c.sql' => "COPY t FROM stdin;\n1\n2\n\\.\n", '3_c.sql' => "SAVEPOINT one;\nCOPY t FROM stdin;\n3\n\\.\nRELEASE one;\n");
($rc, $out, $err) = upg('up', '-d', $db, '--single-transaction', $dir);
is($rc, 0, 'COPY data in one transaction') or diag($err);
is(sql($db, q{SELECT string_agg(undo, ' ' ORDER BY ord) FROM upg_status()}), 'exact exact exact', '... is captured');
($rc, $out, $err) = upg('down', '-d', $db);
is(sql($db, 'SELECT count(*) FROM t'), 2, 'the last goes alone') or diag($err);
($rc, $out, $err) = upg('down', '-d', $db, '--all', '--yes');
is(sql($db, q{SELECT to_regclass('t') IS NULL}), 't', 'then the others') or diag($err);

# Wait until somebody holds table "second".
sub locked
{
	my ($mode) = @_;
	for (1 .. 500)
	{
		return if sql($db, "SELECT count(*) FROM pg_locks WHERE relation = 'second'::regclass AND mode = '$mode' AND granted");
		select(undef, undef, undef, 0.01);
	}
	fail("nobody holds $mode");
	return;
}

# A rollback that meets an application which takes locks in another order gives way.
$db = database('busy');
sql($db, 'CREATE TABLE first (i int); CREATE TABLE second (i int); INSERT INTO first VALUES (1); INSERT INTO second VALUES (1)');
sql($db, q{SELECT upg_apply('both', 'ALTER TABLE first ADD a int; ALTER TABLE second ADD a int')});
my ($app_out, $app_err) = ('', '');
my $app = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $db,
	map({ ('-c', $_) } 'BEGIN', 'UPDATE second SET i = 2', 'SELECT pg_sleep(1)', 'UPDATE first SET i = 2', 'SELECT pg_sleep(1.2)', 'COMMIT') ],
	\undef, \$app_out, \$app_err);
locked('RowExclusiveLock');
($rc, $out, $err) = upg('down', '-d', $db);
is($rc, 0, 'the rollback waits for its turn') or diag($err);
IPC::Run::finish($app);
is($app_err, '', '... and the application did not lose');
is(sql($db, 'SELECT i FROM first UNION ALL SELECT i FROM second'), "2\n2", '... nor what it wrote');

# One that never gets its turn says who is in the way, and changes nothing.
sql($db, q{SELECT upg_apply('late', 'ALTER TABLE second ADD c int')});
my $holder = IPC::Run::start([ 'psql', '-XAtq', '-d', $db, map({ ('-c', $_) } 'BEGIN', 'LOCK TABLE second IN SHARE MODE', 'SELECT pg_sleep(5)') ],
	\undef, \$app_out, \$app_err);
locked('ShareLock');
my $said = '';
IPC::Run::run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $db ],
	\"SET upg.lock_timeout = 100; SET upg.lock_retries = 1; SELECT state FROM upg_rollback('late');\n", \my $ignored, \$said);
like($said, qr/UP015: could not lock what the rollback changes after 2 tries\nDETAIL:  public\.second is locked by .*psql/, 'who is in the way');
is(sql($db, q{SELECT state FROM upg_migration_state('late')}), 'applied', '... and nothing has changed');
IPC::Run::finish($holder);

done_testing();
