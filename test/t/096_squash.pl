# upg squash and upg dump-schema: one migration instead of several, proven by dumps.
use strict;
use warnings;
use FindBin;

# UpgTest clears the environment of UPG_...
my $full;
BEGIN { $full = $ENV{UPG_FULL} || 0 }

use IPC::Run qw(run);
use JSON::PP;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

server_start();
my $number = 0;

# "name state" of all migrations in the ledger, in order of application.
sub books
{
	my ($db) = @_;
	return sql($db, q{SELECT string_agg(migration || ' ' || state, ', ' ORDER BY ord NULLS FIRST, migration) FROM upg_status()});
}

# pg_dump with rows, without what differs each time and without upg.
sub dump_of
{
	my ($db) = @_;
	my ($out, $err);
	run([ 'pg_dump', '--inserts', '-N', 'upg', '-d', $db ], \undef, \$out, \$err) or die $err;
	$out =~ s/^\\(un)?restrict .*\n//mg;
	$out =~ s/^CREATE EXTENSION.* upg .*\n//m;
	return $out;
}

sub scratch_left
{
	return sql('postgres', q{SELECT count(*) FROM pg_database WHERE datname LIKE 'upg\_squash%'});
}

# dump-schema
my $db = database('d1');
sql($db, q{CREATE TABLE t (i int PRIMARY KEY); CREATE ROLE reader; GRANT SELECT ON t TO reader;
	COMMENT ON TABLE t IS E'\n--\n-- PostgreSQL database dump complete\n--\n\nit is not';
	CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT 1 /*
-- Dumped from database version 1
\restrict x
*/ $x$});
my ($rc, $out, $err) = upg('dump-schema', '-d', $db);
is($rc, 0, 'dump-schema') or diag $err;
like($out, qr/CREATE TABLE public\.t/, 'the table is there');
like($out, qr/it is not'/, 'a comment that looks like the end is not the end');
like($out, qr/Dumped from database version 1/, 'the text of a function is left alone');
unlike($out, qr/Dumped by pg_dump|^\\(un)?restrict \w{10}|statement_timeout|EXTENSION/m, 'what differs each time, and upg itself, are not');
unlike($out, qr/GRANT/, 'no privileges');
my $dir = workdir();
($rc, my $written, $err) = upg('dump-schema', '-d', $db, "$dir/schema.sql");
is($rc, 0, 'into a file') or diag $err;
is(slurp("$dir/schema.sql"), $out, 'the same there');
($rc, $written, $err) = upg('dump-schema', '-d', $db, '--check', "$dir/schema.sql");
is($rc, 0, 'check: the same') or diag $err;
sql($db, 'ALTER TABLE t ADD j int');
($rc, $written, $err) = upg('dump-schema', '-d', $db, '--check', "$dir/schema.sql");
is($rc, 8, 'check: not the same');
like($err, qr/schema\.sql:\d+\n.*The file has: +i integer NOT NULL\n.*The database has: +i integer NOT NULL,/s, 'where, and both sides');
($rc, $written, $err) = upg('dump-schema', '-d', $db, '--json', '--check', "$dir/schema.sql");
my $doc = decode_json($written);
is($doc->{error}{code}, 'UPG-2036', 'its code');
ok(!$doc->{equal} && $doc->{line} > 5, 'as JSON');
($rc, $out, $err) = upg('dump-schema', '-d', $db, '--owners');
like($out, qr/OWNER TO.*GRANT SELECT/s, 'with owners and privileges');
($rc, $out, $err) = upg('dump-schema', '-d', $db, '--pg-dump', '/nowhere/pg_dump');
is($rc, 1, 'no pg_dump');
like($err, qr/could not run "\/nowhere\/pg_dump".*--pg-dump/s, 'what to do');
($rc, $out, $err) = upg('dump-schema', '-d', $db, '--check', "$dir/none.sql");
is($rc, 2, 'no such file');
($rc, $out, $err) = upg('dump-schema', '-d', $db, '--check', 'x', 'y');
is($rc, 2, 'FILE and --check');
($rc, $out, $err) = upg('dump-schema', '-d', $db, "$dir/none/x.sql");
is($rc, 1, 'cannot write');
like($err, qr/none\/x\.sql/, 'which file');
sql('postgres', 'CREATE ROLE weak LOGIN');
sql($db, 'CREATE SCHEMA hidden; CREATE TABLE hidden.t (i int)');
($rc, $out, $err) = upg('dump-schema', '-d', $db, '-U', 'weak');
is($rc, 1, 'a role that may not read');
like($err, qr/permission denied/, 'says so');
my $bare = database('d0', bare => 1);
($rc, $out, $err) = upg('dump-schema', '-d', $bare);
is($rc, 0, 'a database without the extension, and empty') or diag $err;

# what the migrations of all layouts do
my @up = (
	"CREATE TABLE a (i int PRIMARY KEY, t text);\nINSERT INTO a VALUES (1, 'it''s \${x}');",
	"CREATE TYPE mood AS ENUM ('ok');\nALTER TYPE mood ADD VALUE 'sad';\nCREATE TABLE b (i int REFERENCES a, m mood);",
	"CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN RETURN 1; END; \$\$;\nUPDATE a SET t = t || '!';",
	"CREATE VIEW v AS SELECT t FROM a;");
my @down = ('DROP TABLE a;', "DROP TABLE b;\nDROP TYPE mood;", 'DROP FUNCTION f();', 'DROP VIEW v;');
my @names = qw(a b c d);

# Apply a directory, squash the first three, look at everything that must hold.
sub squash_ok
{
	my ($layout, $files, $new, $has_down, $all) = @_;
	my $n   = ++$number;
	my $old = database("o$n");
	my $dir = files(workdir(), %$files);
	my ($rc, $out, $err) = upg('up', '-d', $old, '--set', 'x=y', $dir);
	is($rc, 0, "$layout: up") or diag $err;
	my $want = dump_of($old);
	my ($other, $behind);
	if ($all)
	{
		$other = database("t$n");
		upg('up', '-d', $other, '--set', 'x=y', $dir);
		$behind = database("p$n");
		upg('up', '-d', $behind, '--set', 'x=y', '--to', '2', $dir);
		my @before = split /\n/, `ls -A $dir`;
		($rc, $out, $err) = upg('squash', '-d', $old, '--set', 'x=y', '--to', '3', '-n', $dir);
		is($rc, 0, "$layout: squash, dry run") or diag $err;
		is_deeply([ split /\n/, `ls -A $dir` ], \@before, "$layout: the dry run changes nothing");
	}
	($rc, $out, $err) = upg('squash', '-d', $old, '--set', 'x=y', '--to', '3', '--json', $dir);
	is($rc, 0, "$layout: squash") or diag $err;
	my $doc = decode_json($out);
	is($doc->{name},  $new,      "$layout: name");
	is($doc->{state}, 'adopted', "$layout: counts as applied");
	is(!!$doc->{down}, !!$has_down, "$layout: a way back");
	is(scratch_left(), 0, "$layout: no scratch database is left");
	is(sql($old, "SELECT string_agg(state, ' ' ORDER BY migration_id) FROM upg.migrations"), 'replaced replaced replaced applied applied', "$layout: states");
	is(dump_of($old), $want, "$layout: the database is as it was");
	($rc, $out, $err) = upg('up', '-d', $old, '--set', 'x=y', $dir);
	like($out, qr/nothing to do/, "$layout: nothing to do") or diag $err;
	is($err, '', "$layout: no warning");
	if ($all)
	{
		($rc, $out, $err) = upg('up', '-d', $other, '--set', 'x=y', $dir);
		is($rc, 0, "$layout: another database that has all of them") or diag $err;
		like($out, qr/^adopted +\Q$new\E/m, "$layout: counts it as applied");
		is(dump_of($other), $want, "$layout: and is as it was");
		($rc, $out, $err) = upg('up', '-d', $behind, '--set', 'x=y', $dir);
		is($rc, 1, "$layout: one that has only some is refused");
		like($err, qr/neither all applied nor all absent.*Applied: "[^"]+", "[^"]+"; not applied: "[^"]+"\./s, "$layout: and told why");
	}
	my $fresh = database("f$n");
	($rc, $out, $err) = upg('up', '-d', $fresh, '--set', 'x=y', $dir);
	is($rc, 0, "$layout: a fresh database") or diag $err;
	is(sql($fresh, 'SELECT count(*) FROM upg.migrations'), 2, "$layout: runs only the new one and the rest");
	is(dump_of($fresh), $want, "$layout: and gets the same");
	if ($has_down)
	{
		for my $one ($old, $fresh)
		{
			($rc, $out, $err) = upg('down', '-d', $one, '--all', '-y');
			is($rc, 0, "$layout: down --all") or diag $err;
			is(sql($one, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')}), 0, "$layout: nothing is left");
		}
		like($out, qr/$layout|rolled_back.*rolled_back/s, "$layout: the later one first");
	}
	return ($old, $dir);
}

squash_ok('updown', { map { my $i = $_; ("$_\_$names[$_-1].up.sql" => $up[$i-1], "$_\_$names[$_-1].down.sql" => $down[$i-1]) } 1 .. 4 }, '3_squashed', 1, 1);
$full and squash_ok('plain', { map { ("00$_\_$names[$_-1].sql" => $up[$_-1]) } 1 .. 4 }, '003_squashed', 0);
$full and squash_ok('dodo', { map { ("$_.do.$names[$_-1].sql" => $up[$_-1], "$_.undo.$names[$_-1].sql" => $down[$_-1]) } 1 .. 4 }, '3.squashed', 1);
squash_ok('dbmate', { map { ("$_\_$names[$_-1].sql" => "-- migrate:up\n$up[$_-1]\n-- migrate:down\n$down[$_-1]\n") } 1 .. 4 }, '3_squashed', 1);
$full and squash_ok('goose', { map { ("$_\_$names[$_-1].sql" => "-- +goose Up\n$up[$_-1]\n-- +goose Down\n$down[$_-1]\n") } 1 .. 4 }, '3_squashed', 1);
squash_ok('folder', { map { ("0$_\_$names[$_-1]/up.sql" => $up[$_-1], "0$_\_$names[$_-1]/down.sql" => $down[$_-1]) } 1 .. 4 }, '03_squashed', 1);
squash_ok('flyway', { (map { ("V$_\__$names[$_-1].sql" => $up[$_-1]) } 1 .. 4), (map { ("U$_\__$names[$_-1].sql" => $down[$_-1]) } 1 .. 4) }, 'V3__squashed', 1);

# a range in the middle: the scripts one after the other
my %five = map { my $i = $_; ("$_\_$names[$_-1].sql" => $up[$i-1]) } 1 .. 4;
$db  = database('m1');
$dir = files(workdir(), %five);
upg('up', '-d', $db, $dir);
my $want = dump_of($db);
($rc, $out, $err) = upg('squash', '-d', $db, '--from', '2', '--to', '3', '--name', 'both', $dir);
is($rc, 0, 'a range in the middle') or diag $err;
like(slurp("$dir/3_both.sql"), qr/-- upg:replaces 2_b\n-- upg:replaces 3_c\n.*ALTER TYPE mood ADD VALUE/s, 'holds their scripts');
is(books($db), '2_b replaced, 3_c replaced, 1_a applied, 3_both applied, 4_d applied', 'in the place of the last of them');
my $fresh = database('m2');
($rc, $out, $err) = upg('up', '-d', $fresh, $dir);
is($rc, 0, 'fresh') or diag $err;
is(dump_of($fresh), $want, 'the same');

# a squashed one can be part of the next range
($rc, $out, $err) = upg('squash', '-d', $db, '--name', 'all', $dir);
is($rc, 0, 'squash again') or diag $err;
is(books($db), '1_a replaced, 2_b replaced, 3_both replaced, 3_c replaced, 4_d replaced, 4_all applied', 'all');
$fresh = database('m3');
upg('up', '-d', $fresh, $dir);
is(dump_of($fresh), $want, 'the same still');

# requirements: by what is replaced, and of it
my @zabc = ('SELECT 0;', "-- upg:requires 0_z\nSELECT 1;", "-- upg:requires 1_a\nSELECT 2;", "-- upg:requires 2_b\nSELECT 3;");
$dir = files(workdir(), map { ("$_\_" . substr('zabc', $_, 1) . '.up.sql' => $zabc[$_], "$_\_" . substr('zabc', $_, 1) . '.down.sql' => 'SELECT 1;') } 0 .. 3);
$db = database('r1');
upg('up', '-d', $db, $dir);
($rc, $out, $err) = upg('squash', '-d', $db, '--from', '1', '--to', '2', $dir);
is($rc, 0, 'requirements') or diag $err;
like(slurp("$dir/2_squashed.up.sql"), qr/^-- upg:requires 0_z$/m, 'those outside of the range stay');
unlike(slurp("$dir/2_squashed.up.sql"), qr/^-- upg:requires 1_a$/m, 'those inside do not');
$fresh = database('r2');
($rc, $out, $err) = upg('up', '-d', $fresh, $dir);
is($rc, 0, 'a requirement of a replaced one is met by the new one') or diag $err;
($rc, $out, $err) = upg('down', '-d', $fresh, '2_squashed');
is($rc, 1, 'and it is not taken back under those that need it');
like($err, qr/3_c/, 'which are named');

# owners and privileges
sql('postgres', 'CREATE ROLE owner1');
$dir = files(workdir(), '1_a.sql' => 'CREATE TABLE a (i int); ALTER TABLE a OWNER TO owner1;', '2_b.sql' => 'GRANT SELECT ON a TO reader;');
$db = database('w1');
upg('up', '-d', $db, $dir);
($rc, $out, $err) = upg('squash', '-d', $db, $dir);
is($rc, 0, 'owners') or diag $err;
like(slurp("$dir/2_squashed.sql"), qr/OWNER TO owner1.*GRANT SELECT/s, 'are written when they matter');

# a way back that does not lead back is left out
$dir = files(workdir(), '1_a.up.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => 'DROP TABLE a;', '2_b.up.sql' => 'CREATE TABLE b (i int);', '2_b.down.sql' => 'SELECT 1;');
$db = database('w2');
upg('up', '-d', $db, $dir);
($rc, $out, $err) = upg('squash', '-d', $db, $dir);
is($rc, 0, 'a bad way back') or diag $err;
like($err, qr/does not lead back exactly/, 'is told');
ok(!-e "$dir/2_squashed.down.sql", 'and not kept');

# refused, and nothing is changed
our $prepare;
sub refused
{
	my ($name, $files, $up, $exit, $code, $like, @args) = @_;
	my $db  = database('x' . ++$number);
	my $dir = files(workdir(), %$files);
	my ($rc, $out, $err) = upg('up', '-d', $db, @$up, $dir);
	is($rc, 0, "$name: up") or diag $err;
	$prepare->($dir) if $prepare;
	my $before = `cd $dir && find . | sort`;
	my $books  = books($db);
	($rc, $out, $err) = upg('squash', '-d', $db, '--json', @args, $dir);
	is($rc, $exit, "$name: exit code") or diag $err;
	is(decode_json($out)->{error}{code}, $code, "$name: code");
	like($err, $like, "$name: message");
	is(`cd $dir && find . | sort`, $before, "$name: the directory is untouched");
	is(books($db), $books, "$name: so are the books");
	is(scratch_left(), 0, "$name: no scratch database");
}
refused('not all applied', \%five, ['--to=2'], 2, 'UPG-2034', qr/"3_c" of the range is not applied/, '--to=3');
refused('one only', \%five, ['--to=1'], 2, 'UPG-2034', qr/no two migrations/);
refused('unknown name', \%five, [], 2, 'UPG-2016', qr/no migration "9"/, '--to=9');
refused('a name that is taken', \%five, [], 2, 'UPG-2007', qr/"4_d" exists already/, '--name=d');
refused('a name with a slash', \%five, [], 2, 'UPG-2009', qr/cannot be the name/, '--name=../x');
refused('a file that is there', { %five, '4_squashed.sql.d/x' => '' , '4_e.sql/x' => ''}, [], 2, 'UPG-2026', qr/exists already/, '--name=e');
refused('Sqitch', { 'sqitch.plan' => "%project=x\n\na 2026-01-01T00:00:00Z A <a\@b> # x\nb 2026-01-01T00:00:00Z A <a\@b> # x\n", 'deploy/a.sql' => 'SELECT 1;', 'deploy/b.sql' => 'SELECT 1;' },
	[], 2, 'UPG-2034', qr/does not write layout "sqitch"/);
refused('marked to run without a transaction', { '1_a.sql' => 'SELECT 1;', '2_b.autocommit.sql' => 'SELECT 2;', '3_c.sql' => 'SELECT 3;' }, [], 2, 'UPG-2034', qr/"2_b" is marked/, '--from=2');
refused('a setting that reaches into the next', { '0_z.sql' => 'CREATE SCHEMA s;', '1_a.sql' => 'SET search_path = s;', '2_b.sql' => 'CREATE TABLE b (i int);' },
	[], 8, 'UPG-2034', qr/would not have the effect/, '--from=1');
refused('no pg_dump', \%five, [], 1, 'UPG-2035', qr/could not run/, '--pg-dump=/nowhere');
refused('a name out of its place', { 'a.sql' => 'SELECT 1;', 'b.sql' => 'SELECT 2;', 'c.sql' => 'SELECT 3;' }, [], 2, 'UPG-2034', qr/would not stand in the place/, '--from=a', '--to=b', '--name=zz');
refused('a folder for the old files that is there', { %five, '.squashed/4_squashed/x' => '' }, [], 1, 'UPG-2021', qr/could not create directory ".*\.squashed\/4_squashed": File exists/);
my $pinned;
END { my $status = $?; system('umount', '-l', $pinned) if $pinned; $? = $status; }
SKIP:
{
	# renaming a mount point fails, whoever asks
	skip 'an old file that cannot be moved needs root', 1 if $> != 0;
	local $prepare = sub {
		$pinned = "$_[0]/3_c.sql";
		system('mount', '--bind', $pinned, $pinned) == 0 or die "mount: $!";
	};
	refused('an old file that cannot be moved', \%five, [], 1, 'UPG-2021', qr/could not move ".*3_c\.sql": Device or resource busy/);
	system('umount', $pinned) == 0 and undef $pinned;
}
sql('postgres', 'CREATE ROLE op LOGIN; GRANT upg_operator TO op; GRANT CREATE ON SCHEMA public TO op');
$db = database('y1');
sql($db, 'GRANT CREATE ON SCHEMA public TO op');
$dir = files(workdir(), %five);
upg('up', '-d', $db, '-U', 'op', $dir);
($rc, $out, $err) = upg('squash', '-d', $db, '-U', 'op', $dir);
is($rc, 9, 'a role that may not create databases');
like($err, qr/CREATEDB/, 'what to ask for');

# changed after it was applied; interrupted
files($dir, '1_a.sql' => 'SELECT 2;');
($rc, $out, $err) = upg('squash', '-d', $db, $dir);
is($rc, 2, 'a changed file');
like($err, qr/"1_a" was changed/, 'is named');
$dir = files(workdir(), '1_a.sql' => 'SELECT pg_sleep(0.4);', '2_b.sql' => 'SELECT pg_sleep(0.4);');
$db = database('y2');
upg('up', '-d', $db, $dir);
my ($h) = upg_start('squash', '-d', $db, $dir);
for (1 .. 100) { last if scratch_left() > 0; select undef, undef, undef, 0.05 }
is(scratch_left(), 1, 'a scratch database while it works');
$h->signal('INT');
$h->finish;
is($h->full_result >> 8, 130, 'interrupted');
is(scratch_left(), 0, 'the scratch database is gone');
is(books($db), '1_a applied, 2_b applied', 'nothing is changed');
($h) = upg_start('squash', '-d', $db, $dir);
for (1 .. 100) { last if scratch_left() > 0; select undef, undef, undef, 0.05 }
$h->kill_kill(grace => 0);
for (1 .. 100) { last if sql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'upg\_squash%'}) == 0; select undef, undef, undef, 0.1 }
($rc, $out, $err) = upg('squash', '-d', $db, $dir);
is($rc, 0, 'killed, then again') or diag $err;
is(scratch_left(), 0, 'what the killed one left is gone');
is(books($db), '1_a replaced, 2_b replaced, 2_squashed applied', 'done');

# the same by SQL alone
$db = database('y3');
sql($db, q{SELECT upg_apply('a', 'CREATE TABLE a ()'); SELECT upg_apply('b', 'CREATE TABLE b ()')});
is(sql($db, q{SELECT state FROM upg_apply('ab', 'CREATE TABLE a (); CREATE TABLE b ()', options => '{"replaces": ["a", "b"]}')}), 'adopted', 'upg_apply: counts as applied');
is(sql($db, q{SELECT state FROM upg_apply('ab', 'CREATE TABLE a (); CREATE TABLE b ()', options => '{"replaces": ["a", "b"]}')}), 'already', 'again');
is(sql($db, q{SELECT unfinished || ' ' || pending || ' ' || applied FROM upg_digest()}), '0 0 1', 'the digest');
is(sql($db, q{SELECT count(*) FROM upg_plan()}), 0, 'nothing is planned');
is(sql($db, q{SELECT ok FROM upg_audit_verify()}), 't', 'the audit trail');
is(sql($db, q{SELECT count(*) FROM upg.audit_log WHERE action = 'migration.replaced'}), 2, 'says so');
is(sql($db, q{SELECT state FROM upg_apply('a')}), 'replaced', 'an old one is not applied again');
for (["SELECT upg_apply('c', 'SELECT 1', options => '{\"replaces\": [\"c\"]}')", 'UP014'],
	["SELECT upg_apply('c', 'SELECT 1', options => '{\"replaces\": \"ab\"}')", 'UP014'],
	["SELECT upg_apply('c', 'SELECT 1', options => '{\"replaces\": [\"ab\", \"zz\"]}')", 'UP009'],
	["SELECT upg_rollback('a')", 'UP009'])
{
	run([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $db ], \"$_->[0]", \my $o, \my $e);
	like($e, qr/ERROR:  $_->[1]/, "$_->[1]: $_->[0]");
}
done_testing();
