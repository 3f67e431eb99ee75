# A rollback in company: a logical replication slot that decodes all of it, readers
# with prepared plans, and cancels at seeded points, which leave nothing half done.
#
# UPG_SEED says where the points lie.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(run);
use Test::More;
use Time::HiRes qw(sleep time);
use UpgTest;

server_start('autovacuum=off', 'wal_level=logical');
my $db   = database('company');
my $seed = $ENV{UPG_SEED} // 7;
srand($seed);

sql($db, q{
	CREATE EXTENSION amcheck;
	CREATE TABLE kept (id int PRIMARY KEY, v text, extra int DEFAULT 3) WITH (user_catalog_table = true);
	INSERT INTO kept SELECT i, 'v' || i FROM generate_series(1, 4000) i;
	CREATE TABLE gone (id serial PRIMARY KEY, v text);
	INSERT INTO gone (v) SELECT 'g' || i FROM generate_series(1, 4000) i;
	CREATE INDEX ON gone (v);
	CREATE TABLE heard (id int PRIMARY KEY, v text)});
my $migration = q{
	UPDATE kept SET v = upper(v) WHERE id % 2 = 0;
	DELETE FROM kept WHERE id % 5 = 0;
	ALTER TABLE kept DROP extra, ADD fresh text DEFAULT 'f';
	DROP TABLE gone;
	ALTER TABLE heard ADD w int DEFAULT 5;
};
my $apply    = "SELECT verdict FROM upg.capture_run('m', \$m\$$migration\$m\$)";
my $rollback = q{SELECT count(*) > 0 FROM upg.capture_undo('m')};

sub state_of
{
	return sql($db, q{
		SELECT upg_schema_fingerprint('{public}');
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM kept x});
}

# 107 a logical slot that follows
sql($db, q{SELECT pg_create_logical_replication_slot('follower', 'test_decoding')});
my $before = state_of();
sql($db, q{INSERT INTO heard VALUES (1, 'before')});
is(sql($db, $apply), 'exact', 'applied while a logical slot follows');
my $after = state_of();
is(sql($db, q{
	SELECT string_agg(n || what, ' ' ORDER BY what) FROM (SELECT count(*) || ' ' AS n, split_part(data, ' ', 3) AS what
		FROM pg_logical_slot_peek_changes('follower', NULL, NULL) WHERE data ~ '^table public\.kept' GROUP BY 2) x}),
	'800 DELETE: 2000 UPDATE:', 'decoded: rows of a table that counts as a catalog, without those of the proof');
sql($db, q{INSERT INTO heard VALUES (2, 'between', 6)});
sql($db, q{DELETE FROM heard WHERE id = 2});
sql($db, $rollback);
sql($db, q{INSERT INTO heard VALUES (3, 'after'); UPDATE kept SET v = v WHERE id = 1; DELETE FROM gone WHERE id = 1; INSERT INTO gone VALUES (1, 'g1')});
my $heard = sql($db, q{
	SELECT data FROM pg_logical_slot_get_changes('follower', NULL, NULL, 'skip-empty-xacts', '1')
	WHERE data ~ '^table public\.(heard|gone)'});
like($heard, qr/heard: INSERT: id\[integer\]:1 v\[text\]:'before'$/m, 'decoded: what was written before');
like($heard, qr/heard: INSERT: id\[integer\]:2 v\[text\]:'between' w\[integer\]:6$/m, '... with the column of the migration');
like($heard, qr/heard: INSERT: id\[integer\]:3 v\[text\]:'after'$/m, '... and without it again');
like($heard, qr/gone: DELETE: id\[integer\]:1\n.*gone: INSERT: id\[integer\]:1 v\[text\]:'g1'/s, '... and a table that came back');
is(state_of(), $before, 'everything is back');

# 108 sessions with plans, going on all the while
my ($in, $out, $err) = ('', '', '');
my $reader = IPC::Run::start([ 'psql', '-XAtq', '-d', $db ], \$in, \$out, \$err);
$in .= "PREPARE k AS SELECT count(*), max(v) FROM kept; PREPARE g AS SELECT count(*) FROM gone;\n";
for my $round (1 .. 3)
{
	$in .= "EXECUTE k; EXECUTE g; SELECT 'before $round';\n";
	$reader->pump until $out =~ /before $round/ || $err;
	sql($db, $apply);
	$in .= "EXECUTE k; SELECT 'up $round';\n";
	$reader->pump until $out =~ /up $round/ || $err;
	sql($db, $rollback);
}
$in .= "EXECUTE k; EXECUTE g;\n\\q\n";
$reader->finish;
is($err, '', 'prepared statements of another session run on');
my ($was) = $out =~ /\A(\S+\n\S+\n)before 1/;
like($out, qr/\Q$was\E\z/, '... and see what they saw at first');
unlike($out, qr/^\Q$was\Eup/m, '... and the migration in between');

# 110 cancelled and run out of time, at points all over
my $begun = time;
sql($db, $apply);
my $up_takes = time - $begun;
$begun = time;
sql($db, $rollback);
my $down_takes = time - $begun;
my ($stopped, $done, @wrong) = (0, 0);
my $there = 0;
for my $i (1 .. 16)
{
	my $what  = $there ? $rollback : $apply;
	my $point = int(1 + rand() * 1000 * ($there ? $down_takes : $up_takes));
	my $o = eval { sql($db, "SET statement_timeout = $point; $what") };
	if (defined $o) { $done++; $there = !$there }
	else
	{
		$stopped++;
		push @wrong, "$i: $@" if $@ !~ /statement timeout/;
	}
	push @wrong, "$i (seed $seed, after $point ms): half done" if state_of() ne ($there ? $after : $before);
	last if @wrong;
	if (defined $o ? 0 : rand() < 0.3)
	{
		# now without a limit
		sql($db, $what);
		$there = !$there;
		push @wrong, "$i: cannot be run after it was cancelled" if state_of() ne ($there ? $after : $before);
	}
}
is(join("\n", @wrong), '', "cancelled $stopped times, done $done times: all or nothing");
cmp_ok($stopped, '>', 2, 'some were cancelled');
sql($db, $rollback) if $there;
is(state_of(), $before, 'everything is back');
is(damage($db), '', 'tables and indexes are sound');
is(kept_files($db), 0, 'no file is kept');

# 105 the owner of what was dropped is gone
sql($db, q{CREATE ROLE upg_company_owner; ALTER TABLE gone OWNER TO upg_company_owner});
sql($db, q{SELECT verdict FROM upg.capture_run('o', 'DROP TABLE gone')});
sql($db, q{DROP ROLE upg_company_owner});
eval { sql($db, q{SELECT upg.capture_undo('o')}) };
like($@, qr/cannot be restored.*of pg_authid, which does not exist any more/s, 'an owner that is gone is said');
is(sql($db, q{SELECT to_regclass('gone') IS NULL}), 't', '... and nothing is done');
sql($db, q{SELECT upg.capture_finalize('o')});
done_testing();
