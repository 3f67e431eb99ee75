# Who may go on while a migration is taken back: readers of tables of which only rows
# change, readers of the others until everything is decided; nobody loses a deadlock.  And
# a reader waits no longer than the preview said.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(start timeout);
use JSON::PP qw(decode_json);
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(sleep time);
use UpgTest;

my $dir = server_start('log_min_messages=error', 'autovacuum=off');
my $db  = database('readers');

sub apply { my ($name, $script) = @_; return sql($db, "SELECT state FROM upg_apply('$name', \$m\$$script\$m\$, NULL, '{}', '{\"undo\": \"required\"}')") }
sub preview { my ($name) = @_; return decode_json(sql($db, "SELECT upg_rollback_preview('$name')")) }

# A session whose statements are given one by one; say() waits for the answer.
package Session
{
	sub new
	{
		my ($class) = @_;
		my $self = bless { in => '', out => '', err => '', n => 0 }, $class;
		$self->{h} = IPC::Run::start([ 'psql', '-XAtq', '-d', $db ], \$self->{in}, \$self->{out}, \$self->{err}, IPC::Run::timeout(120));
		return $self;
	}
	sub begin { my ($self, $text) = @_; $self->{out} = $self->{err} = ''; $self->{n}++; $self->{in} .= "$text;\n\\echo done $self->{n}\n"; $self->{h}->pump_nb; return $self }
	sub done { my ($self) = @_; $self->{h}->pump until $self->{out} =~ s/done $self->{n}\n//; return $self->{out} . $self->{err} }
	sub say { my ($self, $text) = @_; return $self->begin($text)->done }
	sub end { my ($self) = @_; $self->{in} .= "\\q\n"; $self->{h}->finish }
}

# Wait until a query says t.
sub until_true
{
	my ($query) = @_;
	my $end = time + 60;
	while (time < $end)
	{
		return 1 if sql($db, $query) eq 't';
		sleep 0.05;
	}
	return 0;
}

# Only rows change
sql($db, q{CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT g, 0 FROM generate_series(1, 1000) g});
apply('rows', 'UPDATE t SET v = 1; DELETE FROM t WHERE id > 900');
my $preview = preview('rows');
is_deeply([@$preview{qw(exclusive_locks write_locks readers_wait_ms)}], [[], ['public.t'], 0], 'a preview of rows alone: readers do not wait');
is(sql($db, q{SELECT relation, mode, against FROM upg_rollback_locks('rows')}), 'public.t|ExclusiveLock|writers', '... nor by the locks of the rollback');
my ($one, $two) = (Session->new, Session->new);
like($one->say(q{BEGIN; SELECT state FROM upg_rollback('rows')}), qr/^rolled_back$/m, 'taken back, and not committed');
is($two->say(q{SET statement_timeout = '5s'; SELECT count(*), sum(v) FROM t}), "900|900\n", '... others read on, what was there');
like($two->say(q{SET lock_timeout = '200ms'; INSERT INTO t VALUES (2000, 1)}), qr/lock timeout/, '... and cannot write');
like($two->say(q{SELECT id FROM t WHERE id = 1 FOR SHARE}), qr/lock timeout/, '... nor lock rows');
$one->say('COMMIT');
is($two->say('SELECT count(*), sum(v) FROM t'), "1000|0\n", '... until it is committed');

# An index that has to be built again
sql($db, q{CREATE TABLE later (id int PRIMARY KEY, u int UNIQUE DEFERRABLE); INSERT INTO later SELECT g, g FROM generate_series(1, 10) g});
apply('later', 'UPDATE later SET u = u + 1');
is_deeply(preview('later')->{exclusive_locks}, ['public.later'], 'a deferrable key: readers wait');
is(sql($db, q{SELECT state FROM upg_rollback('later')}), 'rolled_back', '... and it comes back');

# All is decided before readers have to wait: here that takes as long as a cast does
sql($db, q{
	CREATE TYPE mood AS ENUM ('m1', 'm2', 'm3');
	CREATE FUNCTION slowly() RETURNS void LANGUAGE sql AS
		$$SELECT pg_catalog.pg_sleep(pg_catalog.current_setting('test.slowly', true)::float8)$$;
	CREATE FUNCTION to_mood(int) RETURNS mood LANGUAGE plpgsql AS
		$$BEGIN PERFORM public.slowly(); RETURN ('m' || $1)::public.mood; END$$;
	CREATE FUNCTION to_int(mood) RETURNS int LANGUAGE plpgsql AS
		$$BEGIN RETURN substr($1::text, 2)::int; END$$;
	CREATE CAST (int AS mood) WITH FUNCTION to_mood(int);
	CREATE CAST (mood AS int) WITH FUNCTION to_int(mood);
	CREATE TABLE f (id int PRIMARY KEY, m int);
	INSERT INTO f SELECT g, 1 + g % 3 FROM generate_series(1, 10) g});
is(apply('file', 'ALTER TABLE f ALTER m TYPE mood USING m::mood'), 'applied', 'a table is rewritten');
sql($db, q{UPDATE f SET m = 'm2' WHERE id = 3});
my $deciding = q{SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE relation = 'f'::regclass AND mode = 'ExclusiveLock' AND granted AND wait_event = 'PgSleep')};
my $waiting = q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'f'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted)};
$one->say(q{SET test.slowly = '2'});
$one->begin(q{SELECT state FROM upg_rollback('file')});
ok(until_true($deciding),
	'... while what becomes of its rows is decided, writers wait');
is($two->say(q{SELECT count(*) FROM f}), "10\n", '... and readers do not');
like($one->done, qr/^rolled_back$/m, '... it is taken back');
is(sql($db, 'SELECT m FROM f WHERE id = 3'), '2', '... merged');

# A reader that stays, and then writes: he is let in, and nobody loses a deadlock.  First
# while all is decided, then while the rollback waits for him.
for my $case ([$deciding, '2', 'while all is decided'], [$waiting, '0', 'while the rollback waits for him'])
{
	my ($seen, $slowly, $when) = @$case;

	apply("held $when", 'ALTER TABLE f ALTER m TYPE mood USING m::mood');
	sql($db, q{UPDATE f SET m = 'm2' WHERE id = 4});
	$two->say(q{SET statement_timeout = 0; SET lock_timeout = 0; BEGIN; SELECT count(*) FROM f});
	$one->begin(qq{SET test.slowly = '$slowly'; SET upg.lock_timeout = '800ms'; SET upg.lock_retries = 1000; SELECT state FROM upg_rollback('held $when')});
	ok(until_true($seen), "a reader stays, $when");
	is($two->say("UPDATE f SET m = 'm3' WHERE id = 5; COMMIT"), '', '... he can still write');
	like($one->done, qr/^rolled_back$/m, '... and when he has ended it is taken back');
	is(sql($db, q{SELECT string_agg(m::text, ' ' ORDER BY id) FROM f WHERE id IN (4, 5)}), '2 3', '... with what he wrote');
}
unlike(slurp("$dir/server.log"), qr/deadlock detected/, 'there was no deadlock');

# A reader that stays for good is named
apply('stays', 'ALTER TABLE t ADD held int; UPDATE t SET v = v + 1');
$two->say('BEGIN; SELECT count(*) FROM t');
like($one->say(q{SET upg.lock_timeout = '100ms'; SET upg.lock_retries = 3; SELECT state FROM upg_rollback('stays')}),
	qr/could not lock what the rollback changes after 4 tries.*public\.t is locked by process \d+/s, 'a reader that does not go is named');
like($two->say('INSERT INTO t VALUES (3000, 3000); COMMIT'), qr/^$/, '... and writers are let in');

# What came in between is merged, and a view on what goes away is seen
$two->say('BEGIN; SELECT count(*) FROM t');
$one->begin(q{SET upg.lock_timeout = '800ms'; SET upg.lock_retries = 1000; SELECT state FROM upg_rollback('stays')});
ok(until_true(q{SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 't'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted)}), 'a rollback waits for a reader again');
$two->say('CREATE VIEW on_held AS SELECT held FROM t; COMMIT');
like($one->done, qr/later changes stand in the way.*view on_held depends on column held/s, '... what he hung on a column that would go is named');
sql($db, 'DROP VIEW on_held');
is(sql($db, q{SELECT state FROM upg_rollback('stays')}), 'rolled_back', '... and without it the column goes');
is(sql($db, 'SELECT v FROM t WHERE id = 3000'), 3000, '... and rows stay');
$_->end for $one, $two;

# No longer than the preview said, without and with earlier rollbacks to go by
my $measured = database('measured');
sql($measured, q{CREATE TABLE m (id int PRIMARY KEY, v int, filler text); CREATE INDEX ON m (v);
	INSERT INTO m SELECT g, g, repeat('x', 60) FROM generate_series(1, 60000) g});
for my $case (['sample', 'ALTER TABLE m ADD w int; UPDATE m SET v = v + 1'], ['history', 'ALTER TABLE m ADD w int; UPDATE m SET v = v + 1'],
	['history', 'ALTER TABLE m ALTER v TYPE bigint'])
{
	my ($by, $script) = @$case;
	my $i = sql($measured, 'SELECT count(*) FROM upg_status()');

	sql($measured, "SELECT state FROM upg_apply('m$i', '$script', NULL, '{}', '{\"undo\": \"required\"}')");
	sql($measured, "UPDATE m SET filler = '' WHERE id % 100 = 7; CHECKPOINT");
	my $said = decode_json(sql($measured, "SELECT upg_rollback_preview('m$i')"));
	is($said->{estimated_by}, $by, "how long '$script' is taken back is estimated by: $by");

	my ($in, $out, $err) = ("\\timing on\n", '', '');
	my $reader = start([ 'psql', '-XAtq', '-d', $measured ], \$in, \$out, \$err, timeout(300));
	my ($down_out, $down_err, $n) = ('', '', 0);
	my $down = start([ 'psql', '-XAtq', '-d', $measured, '-c', "SELECT state FROM upg_rollback('m$i')" ], \undef, \$down_out, \$down_err, timeout(300));
	while (1)
	{
		my $last = !$down->pumpable;
		$in .= "SELECT v FROM m WHERE id = 1;\n\\echo read @{[ ++$n ]}\n";
		$reader->pump until $out =~ /read $n\n/ || $err;
		last if $last;
		$down->pump_nb;
		sleep 0.005;
	}
	$down->finish;
	$in .= "\\q\n";
	$reader->finish;
	is("$down_out$err", "rolled_back\n", '... it is taken back while somebody reads') or diag $down_err;
	my $longest = max($out =~ /Time: ([\d.]+) ms/g);
	# others may get busier after the preview, and what the reader needs himself is not our doing
	cmp_ok($longest, '<=', 1.25 * $said->{readers_wait_ms} + 500, "... who waited $longest ms, and $said->{readers_wait_ms} were said");
	cmp_ok($said->{readers_wait_ms}, '<=', $said->{estimated_ms}, '... of all of it');
}
done_testing();
