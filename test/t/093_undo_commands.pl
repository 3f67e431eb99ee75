# The commands around a rollback without a down script: what is done with rows written
# since, what a rollback would do, what is kept and for how long, rows that come back.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP qw(decode_json);
use List::Util qw(max sum);
use Test::More;
use UpgTest;

server_start();
my ($rc, $out, $err);
my $dir = files(workdir(), '1_t.sql' => "CREATE TABLE t (id int PRIMARY KEY, v text);\nINSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');",
	'2_shout.sql' => q{UPDATE t SET v = v || '!';}, '3_extra.sql' => "CREATE TABLE extra (id int PRIMARY KEY);\nINSERT INTO extra VALUES (1);");
my $db = database('policies');

sub rows { return sql($db, q{SELECT string_agg(id || v, ' ' ORDER BY id) FROM t}) }

# Apply all, then write as an application does.
sub live
{
	my ($value, $want) = @_;
	($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
	is($rc, 0, 'all is applied') or diag $err;
	sql($db, q{UPDATE t SET v = '} . $value . q{' WHERE id = 1; INSERT INTO t VALUES (4, 'new') ON CONFLICT DO NOTHING; INSERT INTO extra VALUES (7), (8)});
	upg('down', '-d', $db, '3_extra');
	is(rows(), $want, '... and written to');
}

# What a rollback would do
live('mine', '1mine 2b! 3c! 4new');
($rc, $out, $err) = upg('down', '-d', $db, '--dry-run', '2_shout');
is($rc, 0, 'down --dry-run') or diag $err;
like($out, qr/^table +file +restored .*conflicts\npublic\.t +keeps its file .* 1\n/m, '... tells it table by table') or diag $out;
like($out, qr/^public\.t +\{"id": "1"\} +v +a +mine /m, '... and where both have changed a value');
($rc, $out, $err) = upg('down', '-d', $db, '--dry-run', '--json', '2_shout');
my $preview = decode_json($out)->{preview};
is($preview->{tables}[0]{conflicts}, 1, '... with --json') or diag $out;
is(rows(), '1mine 2b! 3c! 4new', '... and changes nothing');

# Policies
($rc, $out, $err) = upg('down', '-d', $db, '--on-conflict=strict', '2_shout');
is($rc, 1, '--on-conflict=strict: refused') or diag $out;
like($err, qr/public\.t|table "t"/, '... names the table');
is(rows(), '1mine 2b! 3c! 4new', '... changes nothing');
for my $wrong ('perhaps', 'keep,perhaps', 'perhaps:t', '')
{
	($rc, $out, $err) = upg('down', '-d', $db, "--on-conflict=$wrong", '2_shout');
	is($rc, 2, "--on-conflict=$wrong is wrong usage") or diag $out;
	like($err, qr/invalid value of --on-conflict: "$wrong".*hint: Give keep, strict or discard/s, '... and says what is right');
}
($rc, $out, $err) = upg('down', '-d', $db, '--on-conflict=keep:nowhere', '2_shout');
is($rc, 2, 'a policy for a table that is not there is refused') or diag $out;
($rc, $out, $err) = upg('down', '-d', $db, '--dry-run', '--on-conflict=discard', '2_shout');
is($rc, 0, '--dry-run goes by the policy') or diag $err;
unlike($out, qr/^public\.t +\{"id": "1"\}/m, '... with which nothing is in conflict') or diag $out;
($rc, $out, $err) = upg('down', '-d', $db, '--on-conflict=strict,keep:public.t', '2_shout');
is($rc, 0, 'strict, but not for this table') or diag $err;
is(rows(), '1mine 2b 3c 4new', '... the value of the application stays');
is(sql($db, q{SELECT table_name || ' ' || key || ' ' || column_name FROM upg_rollback_conflicts('2_shout')}), 'public.t {"id": "1"} v', '... and is listed')
  or diag sql($db, q{SELECT * FROM upg_rollback_conflicts('2_shout')});
live('ours', '1ours 2b! 3c! 4new!');
($rc, $out, $err) = upg('down', '-d', $db, '--on-conflict=strict,discard:public.t', '2_shout');
is($rc, 0, 'discard, for this table') or diag $err;
is(rows(), '1mine 2b 3c 4new', '... what was before the migration is there');

# Rows that were set aside come back
($rc, $out, $err) = upg('put-back', '-d', $db, '3_extra');
is($rc, 1, 'put-back before the migration is applied again: refused') or diag $out;
($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
is(sql($db, q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM extra}), '1', 'applied again, the table has what the migration writes');
($rc, $out, $err) = upg('put-back', '-d', $db, '--json', '3_extra');
is($rc, 0, 'put-back') or diag $err;
is(decode_json($out)->{rows}, 4, '... tells how many rows') or diag $out;
is(sql($db, q{SELECT string_agg(id::text, ' ' ORDER BY id) FROM extra}), '1 7 8', '... which are there');

# A column that came later and must have a value
($rc, $out, $err) = upg('down', '-d', $db, '3_extra');
($rc, $out, $err) = upg('up', '-d', $db, '--undo=required', $dir);
sql($db, 'TRUNCATE extra; ALTER TABLE extra ADD must text NOT NULL');
($rc, $out, $err) = upg('put-back', '-d', $db, '3_extra');
is($rc, 1, 'put-back without a value for a new column: refused') or diag $out;
like($err, qr/column "must" of table public\.extra.*--fill/s, '... which says what to do');
for my $bad ('must', '=x', 'public.extra.must', '"a=b')
{
	($rc, $out, $err) = upg('put-back', '-d', $db, '--fill', $bad, '3_extra');
	is($rc, 2, "--fill $bad is refused") or diag $out;
	like($err, qr/invalid value of --fill.*TABLE\.COLUMN=VALUE/s, '... with what is wanted');
}
($rc, $out, $err) = upg('put-back', '-d', $db, '--fill', 'public.extra.nope=1', '3_extra');
is($rc, 2, '--fill of a column that is not there') or diag $err;
($rc, $out, $err) = upg('put-back', '-d', $db, '--fill', 'public.extra.must=a=b, c', '3_extra');
is($rc, 0, '--fill') or diag $err;
is(sql($db, q{SELECT string_agg(id || must, ' ' ORDER BY id) FROM extra WHERE id > 1}), '7a=b, c 8a=b, c', '... is what they get');
sql($db, 'ALTER TABLE extra DROP must');

# What several rollbacks lock
my $several = database('several');
my $three = files(workdir(), '1_t.sql' => "CREATE TABLE t (id int PRIMARY KEY, v text);\nINSERT INTO t VALUES (1, 'a');",
	'2_rows.sql' => q{UPDATE t SET v = 'b';}, '3_column.sql' => "-- upg:requires 2_rows\nALTER TABLE t ADD w int;");
($rc, $out, $err) = upg('up', '-d', $several, '--undo=required', $three);
is($rc, 0, 'three migrations') or diag $err;
my $locks = qr/^rollback of +locks +against\n3_column +public\.t +readers\n2_rows +public\.t +writers\n/m;
my @wanted = map { my ($m, $r, $a) = @$_; { migration => $m, relation => $r, against => $a } } ['3_column', 'public.t', 'readers'], ['2_rows', 'public.t', 'writers'];
($rc, $out, $err) = upg('down', '-d', $several, '--dry-run', '--to', '1_t');
is($rc, 0, 'down --dry-run --to') or diag $err;
like($out, $locks, '... tells what each rollback locks, and against whom') or diag $out;
like($out, qr/^locked against readers for at most \d+ ms: public\.t\nlocked against writers for at most \d+ ms: public\.t\n/m, '... and how long the first') or diag $out;
unlike($out, qr/to try it/, '... and rehearses nothing');
($rc, $out, $err) = upg('down', '-d', $several, '--dry-run', '--json', '--to', '1_t');
my $doc = decode_json($out);
is_deeply($doc->{locks}, \@wanted, '... with --json, too') or diag $out;
is_deeply([@{ $doc->{preview} }{qw(exclusive_locks write_locks)}], [['public.t'], []], '... which tells them apart');
ok($doc->{preview}{readers_wait_ms} > 0 && !exists $doc->{rehearsal_ms}, '... and says how long readers wait') or diag $out;
($rc, $out, $err) = upg('down', '-d', $several, '--dry-run', '--cascade', '2_rows');
is($rc, 0, 'down --dry-run --cascade') or diag $err;
like($out, $locks, '... tells what each rollback locks') or diag $out;
like($out, qr/^all of it was locked for \d+ ms, to try it$/m, '... and how long it was locked now') or diag $out;
($rc, $out, $err) = upg('down', '-d', $several, '--dry-run', '--json', '--cascade', '2_rows');
$doc = decode_json($out);
is_deeply($doc->{locks}, \@wanted, '... with --json, too') or diag $out;
like($doc->{rehearsal_ms}, qr/^\d+$/, '... with the time') or diag $out;
like(sql($several, q{SELECT warnings FROM upg_rollback('2_rows', options => '{"dry_run": true, "cascade": true}') WHERE migration = '3_column'}),
	qr/locked against readers until all of this has been tried: public\.t/, '... and by SQL');
($rc, $out, $err) = upg('down', '-d', $several, '--dry-run', '--json');
ok(!exists decode_json($out)->{locks}, 'of one rollback the preview has the locks') or diag $out;

# A column that comes back and must have a value
my $fill = database('fill');
my $drops = files(workdir(), '1_f.sql' => "CREATE TABLE f (id int PRIMARY KEY, must text NOT NULL, may int);\nINSERT INTO f VALUES (1, 'a', 1);",
	'2_drop.sql' => 'ALTER TABLE f DROP must, DROP may;');
($rc, $out, $err) = upg('up', '-d', $fill, '--undo=required', $drops);
is($rc, 0, 'a migration drops two columns') or diag $err;
sql($fill, 'INSERT INTO f VALUES (2), (3)');
for my $dry ([], ['--dry-run'])
{
	($rc, $out, $err) = upg('down', '-d', $fill, @$dry, '2_drop');
	is($rc, 1, "down @$dry without a value for rows written since: refused") or diag $out;
	like($err, qr/2 rows of table public\.f were written since and have no value for column "must"/, '... which says what is missing');
}
for my $bad ('must', '=x', 'public.f.must', '"a=b')
{
	($rc, $out, $err) = upg('down', '-d', $fill, '--fill', $bad, '2_drop');
	is($rc, 2, "down --fill $bad is refused") or diag $out;
	like($err, qr/invalid value of --fill.*TABLE\.COLUMN=VALUE/s, '... with what is wanted');
}
for my $bad ([ 'public.nowhere.must=x', qr/table "public\.nowhere" in option "fill" does not exist/ ],
	[ 'public.f.nope=x', qr/option "fill": table public\.f has no column "nope" that can be given a value/ ])
{
	for my $more ([], ['--dry-run'], [ '--cascade', '--dry-run' ])
	{
		($rc, $out, $err) = upg('down', '-d', $fill, @$more, '--fill', $bad->[0], '2_drop');
		is($rc, 2, "down @$more --fill $bad->[0] is refused") or diag $out;
		like($err, $bad->[1], '... which says what is wrong');
	}
}
is(sql($fill, 'SELECT count(*) FROM f'), 3, '... and nothing was changed');
($rc, $out, $err) = upg('down', '-d', $fill, '--dry-run', '--fill', 'public.f.must=a=b, c', '2_drop');
is($rc, 0, 'down --fill --dry-run') or diag $err;
is($err, '', '... which is needed') or diag $err;
($rc, $out, $err) = upg('down', '-d', $fill, '--dry-run', '--fill', 'public.f.must=b', '--fill', 'public.f.id=7', '2_drop');
is($rc, 0, 'a value for a column that is there') or diag $err;
like($err, qr/^upg: warning: option "fill": table public\.f does not get column "id" back by this[^\n]*\n\z/, '... is not needed, as it says once');
sql($fill, q{SELECT upg_apply('3_later', 'ALTER TABLE f ADD later int; ALTER TABLE f ALTER id TYPE bigint')});
($rc, $out, $err) = upg('down', '-d', $fill, '--cascade', '--dry-run', '--fill', 'public.f.must=a=b, c', '2_drop');
is($rc, 0, 'down --fill --cascade --dry-run: the rehearsal has the value, too') or diag $err;
($rc, $out, $err) = upg('down', '-d', $fill, '--yes', '--all', '--fill', 'public.f.nope=7');
is($rc, 2, 'a wrong value stops a run of several before its first') or diag $out;
is(sql($fill, q{SELECT state FROM upg_status() WHERE migration = '3_later'}), 'applied', '... which is still there');
($rc, $out, $err) = upg('down', '-d', $fill, '--yes', '--to=1_f', '--fill', 'public.f.must=a=b, c', '--fill', 'public.f.may=7');
is($rc, 0, 'down --fill') or diag $err;
unlike($err, qr/fill/, '... of a run whose second needs it');
is(sql($fill, q{SELECT string_agg(concat_ws('/', id, must, may), ' ' ORDER BY id) FROM f}), '1/a/1 2/a=b, c/7 3/a=b, c/7', '... is what rows written since get, and no other');

# What is kept
($rc, $out, $err) = upg('retention', '-d', $db);
is($rc, 0, 'retention') or diag $err;
like($out, qr/^migration +state +size +age +xid age +kept by\n1_t +applied .*\n2_shout +applied /m, '... lists what is kept') or diag $out;
($rc, $out, $err) = upg('retention', '-d', $db, '--max-bytes=1TB', '--max-age=30 days', '--max-xid-age=2000000000');
is($rc, 0, '... within limits') or diag $err;
($rc, $out, $err) = upg('retention', '-d', $db, '--json', '--max-age=0');
is($rc, 8, '... over --max-age: exit 8') or diag $out;
like($err, qr/warning: migration "2_shout" is kept for longer than the limits allow/, '... each is named');
is((grep { $_->{migration} eq '2_shout' } @{ decode_json($out)->{kept} })[0]{over_limit}, JSON::PP::true, '... with --json, too') or diag $out;

# The limit of bytes is one of all together, for the command as for migrations
my @kept  = map { $_->{bytes} } @{ decode_json($out)->{kept} };
my $total = sum(@kept);
is(decode_json($out)->{bytes}, $total, 'retention --json has the sum') or diag $out;
cmp_ok($total - 1, '>', max(@kept), '... of several');
for my $case ([$total - 1, 8, JSON::PP::true], [$total, 0, JSON::PP::false])
{
	my ($limit, $exit, $over) = @$case;

	($rc, $out, $err) = upg('retention', '-d', $db, '--json', "--max-bytes=$limit");
	is($rc, $exit, "... --max-bytes=$limit: exit $exit") or diag $err;
	is(decode_json($out)->{over_limit}, $over, '... with --json, too');
	($exit ? \&like : \&unlike)->($err, qr/warning: all that is kept takes .*, more than the limit allows/, '... the warning');
}
($rc, $out, $err) = upg('retention', '-d', $db, '--max-bytes=much');
is($rc, 1, '... a size that is none') or diag $out;
like($err, qr/much/, '... is named');

# and until when
($rc, $out, $err) = upg('expire', '-d', $db, '30 days');
is("$rc $out", '0 ', 'expire: nothing is that old') or diag $err;
($rc, $out, $err) = upg('expire', '-d', $db, '--dry-run', '0 days');
is($rc, 0, 'expire --dry-run') or diag $err;
like($out, qr/^would finalize 2_shout$/m, '... says what it would give up') or diag $out;
is(sql($db, q{SELECT undo FROM upg_status() WHERE migration = '2_shout'}), 'exact', '... and does not');
($rc, $out, $err) = upg('expire', '-d', $db, '--json', '0 days');
is($rc, 0, 'expire') or diag $err;
is(join(' ', sort map { $_->{migration} } @{ decode_json($out)->{finalized} }), '1_t 2_shout 3_extra', '... gives up all that is older') or diag $out;
($rc, $out, $err) = upg('down', '-d', $db, '3_extra');
is($rc, 1, '... and then there is no way back') or diag $out;
($rc, $out, $err) = upg('retention', '-d', $db);
is($out, "nothing is kept\n", '... nor anything kept') or diag $out;
($rc, $out, $err) = upg('expire', '-d', $db, 'yesterday');
is($rc, 1, 'expire by what is no time: refused') or diag $out;
done_testing();
