# The small commands, each with what it does, refuses, and prints as JSON: new, help,
# init, show, wait, history, progress, lock, repair, finalize, audit, version.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(finish);
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(sleep);
use UpgTest;

server_start();
my ($rc, $out, $err);
my $work = workdir();

# new: the files of each layout, then a number in the style of the last one
my %new = (
	updown            => [ '0007_x.up.sql', '0008_a_b.up.sql', '0008_a_b.down.sql' ],
	dodo              => [ '007.do.x.sql', '008.do.a_b.sql', '008.undo.a_b.sql' ],
	dbmate            => [ '007_x.sql', '008_a_b.sql' ],
	goose             => [ '007_x.sql', '008_a_b.sql' ],
	'sql-migrate'     => [ '007_x.sql', '008_a_b.sql' ],
	'node-pg-migrate' => [ '007_x.sql', '008_a_b.sql' ],
	flyway            => [ 'V7__x.sql', 'V8__a_b.sql' ],
	plain             => [ '99_x.sql', '100_a_b.sql' ],
	folder            => [ '0007_x/up.sql', '0008_a_b/up.sql', '0008_a_b/down.sql' ],
	prisma            => [ '0007_x/migration.sql', '0008_a_b/migration.sql', '0008_a_b/down.sql' ]);
my %markers = (
	dbmate            => [ '-- migrate:up', '-- migrate:down' ],
	goose             => [ '-- +goose Up', '-- +goose Down' ],
	'sql-migrate'     => [ '-- +migrate Up', '-- +migrate Down' ],
	'node-pg-migrate' => [ '-- Up Migration', '-- Down Migration' ]);
for my $layout (sort keys %new)
{
	my ($there, @made) = @{ $new{$layout} };
	my $dir  = "$work/new/$layout";
	my $text = join "\n", map { "$_\nSELECT 1;" } @{ $markers{$layout} // [''] };
	files($dir, $there => $text);
	($rc, $out, $err) = upg('new', '--down', "--layout=$layout", '--dry-run', 'a b', $dir);
	is($rc, 0, "new in $layout, dry run") or diag $err;
	is($out, join('', map { "$dir/$_\n" } @made), '... names the files');
	is(scalar(grep { -e "$dir/$_" } @made), 0, '... and makes none');
	($rc, $out, $err) = upg('new', '--down', "--layout=$layout", '--json', 'a b', $dir);
	is_deeply(decode_json($out)->{files}, [ map { "$dir/$_" } @made ], "new in $layout, JSON");
	is(join(' ', map { -e "$dir/$_" ? () : $_ } @made), '', '... every file is there');
	is(slurp("$dir/$made[0]"), join("\n\n", @{ $markers{$layout} }) . "\n", '... with its markers') if $markers{$layout};
	($rc, $out, $err) = upg('check', "--layout=$layout", '-d', 'postgres', $dir);
	unlike($err, qr/two migrations|holds no/, '... and the directory is read as before');
}
($rc, $out, $err) = upg('new', '--layout=sqitch', 'x', files("$work/new/sqitch", 'sqitch.plan' => "%syntax-version=1.0.0\n%project=x\n"));
is($rc, 2, 'new in a layout with a plan of its own is refused');
like($err, qr/UPG-2006|does not write layout "sqitch"/, '... and says why');
($rc, $out, $err) = upg('new', 'first', files("$work/new/empty", '.keep' => ''));
is($rc, 0, 'new in an empty directory') or diag $err;
like($out, qr{^\S*/\d{14}_first\.up\.sql\n\z}, '... takes the time of day as number, and needs no down script');
($rc, $out, $err) = upg('new', '--down', 'second', "$work/new/empty");
like($out, qr{/\d{14}_second\.up\.sql\n.*/\d{14}_second\.down\.sql\n}s, '... with --down it gets one');
($rc, $out, $err) = upg('new', 'third', "$work/new/empty");
like($out, qr{_third\.down\.sql$}m, '... and the next one follows the habit of the directory');
files("$work/new/downless", '1_a.sql' => "-- migrate:up\nSELECT 1;\n");
($rc, $out, $err) = upg('new', 'b', "$work/new/downless");
is(slurp("$work/new/downless/2_b.sql"), "-- migrate:up\n", '... and so where none has one, in one file for both ways');
($rc, $out, $err) = upg('new', '--down', 'x', "$work/new/plain");
like($err, qr/layout "plain" has no down scripts, so none was written/, '--down where no layout has them is a warning');
files("$work/new/stamps", '2026-01-01-000000_a/up.sql' => '', '2026-01-01-000000_a/down.sql' => '');
($rc, $out, $err) = upg('new', 'b', "$work/new/stamps");
like($out, qr{/20\d\d-\d\d-\d\d-\d{6}_b/up\.sql$}m, '... in the style of the others');
($rc, $out, $err) = upg('new', 'x' x 201, "$work/new/plain");
is($rc, 2, 'a name of more than 200 bytes is refused');
($rc, $out, $err) = upg('new', 'ü-umlaut', "$work/new/plain");
like($out, qr{/102_ü-umlaut\.sql$}, 'letters beyond ASCII stay');
($rc, $out, $err) = upg('new', 'x', "$work/new/nonesuch");
is($rc, 2, 'a directory that is not there') or diag $err;
like($err, qr/nonesuch/, '... is named');
files("$work/new/taken", '1_a/up.sql' => 'SELECT 1;', '1_a/down.sql' => '', '2_b' => '');
($rc, $out, $err) = upg('new', '--layout=folder', 'b', "$work/new/taken");
is($rc, 1, 'a folder whose name is taken is an error') or diag $out;
like($err, qr/could not create directory ".*2_b": File exists/, '... with the reason');

# help: a command, a command below a command, an alias, what there is not
($rc, $out, $err) = upg('help', 'audit', 'verify');
like($out, qr/^Usage:\n  upg audit verify/, 'help audit verify');
($rc, $out, $err) = upg('help', 'audit');
like($out, qr/^Usage:\n  upg audit COMMAND.*export/s, 'help audit lists its commands');
($rc, $out, $err) = upg('help', 'rollback');
like($out, qr/^Usage:\n  upg down/, 'help on another name of a command');
($rc, $out, $err) = upg('help', 'audit', 'nonesuch');
is($rc, 2, 'no help on an unknown command below a command');
($rc, $out, $err) = upg('help', "no\e[31msuch");
is($rc, 2, 'no help on an unknown word');
unlike($err, qr/\e/, '... which is not sent to the terminal as it is');
($rc, $out, $err) = upg('help', 'UPG-2002');
is($out, "UPG-2002: the database cannot be reached\n", 'help on a code of the program') or diag "$out$err";
($rc, $out, $err) = upg('help', '--man');
like($out, qr/^\.TH "?UPG"? "?1/m, 'help --man is a man page');
($rc, $out, $err) = upg('help', $_) and ok(length $out > 200, "help $_") for qw(environment errors);

# init
database('i1', bare => 1);
($rc, $out, $err) = upg('init', '-d', 'i1', '--dry-run', '--json');
is(decode_json($out)->{state}, 'would be installed', 'init --dry-run says what it would do');
is(sql('i1', q{SELECT count(*) FROM pg_extension WHERE extname = 'upg'}), 0, '... and does not');
($rc, $out, $err) = upg('init', '-d', 'i1', '--schema', 'odd Näme');
is($rc, 0, 'init into a schema with an odd name') or diag $err;
is(sql('i1', q{SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'upg'}), 'odd Näme', '... is done');
($rc, $out, $err) = upg('init', '-d', 'i1', '--json');
is(decode_json($out)->{state}, 'already there', '... and then it is there');
sql('i1', q{UPDATE pg_extension SET extversion = '0.0.0' WHERE extname = 'upg'});
($rc, $out, $err) = upg('init', '-d', 'i1', '--update', '--dry-run');
like($out, qr/: would be updated$/m, 'init --update --dry-run');
($rc, $out, $err) = upg('init', '-d', 'i1', '--update');
is($rc, 1, 'an update from a version without a path is refused') or diag $out;
like($err, qr/no update path from version "0\.0\.0"/, '... by the server, with its reason');
($rc, $out, $err) = upg('version', '-d', 'i1');
is($rc, 0, 'version of a database with another script');
like($out, qr/install script 0\.0\.0/, '... says which');
like($err, qr/warning/, '... and warns');
sql('postgres', 'CREATE ROLE nobody LOGIN');
database('i2', bare => 1);
($rc, $out, $err) = upg('init', '-d', 'i2', '-U', 'nobody');
is($rc, 9, 'init without the right to is refused') or diag "$rc $err";
like($err, qr/permission denied/, '... with the reason');
# two at once
my @both = map { [ upg_start('init', '-d', 'i2') ] } 1 .. 4;
finish($_->[0]) for @both;
is(join(' ', map { $_->[0]->full_result >> 8 } @both), '0 0 0 0', 'init four times at once: all find it installed') or diag map { ${ $_->[2] } } @both;
($rc, $out, $err) = upg('version', '--json', '-d', 'i2');
my $doc = decode_json($out);
is($doc->{library}, $doc->{program}, 'version --json: library and program agree');
is($doc->{script}, $doc->{program}, '... and the script');
cmp_ok($doc->{server_version_num}, '>=', 150000, '... and the server');
($rc, $out, $err) = upg('version', '--json', '-h', '/nonexistent');
is(decode_json($out)->{library}, undef, 'version --json without a server has no library');
is($rc, 0, '... which is no failure');
($rc, $out, $err) = upg('version', '-v', '-h', '/nonexistent');
like($err, qr/could not connect|cannot connect|No such file/, 'version -v says why there is none');

# show, history, wait, progress, lock
database('look');
files("$work/m", '1_a.up.sql' => "CREATE TABLE a (i int);\n", '1_a.down.sql' => "DROP TABLE a;", '2_b.sql' => "SELECT 1/0;\n");
upg('up', '-d', 'look', '--undo=none', "$work/m");
($rc, $out, $err) = upg('show', '-d', 'look', '1_a');
like($out, qr/^state +applied$/m, 'show: the state');
($rc, $out, $err) = upg('show', '-d', 'look', '--json', '1_a');
is(decode_json($out)->{migration}[0]{migration}, '1_a', 'show --json') or diag $out;
($rc, $out, $err) = upg('show', '-d', 'look', '--down', '1_a');
is($out, "DROP TABLE a;\n", 'show --down ends its line');
($rc, $out, $err) = upg('show', '-d', 'look', '--down', '--json', '1_a');
is(decode_json($out)->{down}, 'DROP TABLE a;', 'show --down --json is the text as it is');
($rc, $out, $err) = upg('show', '-d', 'look', 'nonesuch');
is($rc, 1, 'show of an unknown migration');
like($err, qr/holds no migration "nonesuch"/, '... names it');
($rc, $out, $err) = upg('show', '-d', 'look', '--down', 'nonesuch');
is($rc, 1, 'show --down of an unknown migration');
($rc, $out, $err) = upg('history', '-d', 'look', '--limit', '1');
is(scalar(() = $out =~ /\b(1_a|2_b)\b/g), 1, 'history --limit') or diag $out;
like($out, qr/2_b.*22012.*division by zero/, '... newest first, with the error');
($rc, $out, $err) = upg('history', '-d', 'look', '--json', '2_b');
is(decode_json($out)->{history}[0]{sqlstate}, '22012', 'history --json of one');
($rc, $out, $err) = upg('history', '-d', 'look', '--limit', $_) and is($rc, 2, "history --limit $_ is refused") for '-1', 'x', '9999999999';
($rc, $out, $err) = upg('history', '-d', 'look', 'nonesuch');
like($out, qr/nothing has run/, 'history of nothing');
sql('look', q{SELECT upg_apply('no way', 'SELECT 1', options => '{"undo": "none"}')});
($rc, $out, $err) = upg('show', '-d', 'look', '--down', 'no way');
is("$rc $out", '0 ', 'show --down of one without a down script prints nothing');
like($err, qr/has no down script/, '... and says so');
($rc, $out, $err) = upg('wait', '-d', 'look', '1_a');
is($rc, 0, 'wait for what is applied') or diag $err;
($rc, $out, $err) = upg('wait', '-d', 'look', '--json', '2_b');
is($rc, 1, 'wait for what is not there') or diag $out;
($rc, $out, $err) = upg('progress', '-d', 'look');
is($out, "nothing is running\n", 'progress of nothing');
($rc, $out, $err) = upg('lock', 'show', '-d', 'look');
is($out, "nothing is locked\n", 'locks of nothing');
($rc, $out, $err) = upg('status', '-d', 'look', '--watch', '--interval', '100ms', '--timeout', '1s', "$work/m");
cmp_ok(scalar(() = $out =~ /^2 applied, 1 pending/mg), '>=', 3, 'status --watch looks again and again') or diag "$rc $out$err";
($rc, $out, $err) = upg('progress', '-d', 'look', '--watch', '--interval', 'soon');
is($rc, 2, 'an interval that is none is refused');
{
	files("$work/slow", '9_slow.sql' => "VACUUM a;\nSELECT pg_sleep(3);\nVACUUM a;");
	my ($run) = upg_start('up', '-d', 'look', "$work/slow");
	for (1 .. 100) { last if sql('look', q{SELECT count(*) FROM upg_progress() WHERE step = 2}) eq '1'; sleep 0.05 }
	($rc, $out, $err) = upg('progress', '-d', 'look', '--json');
	is(decode_json($out)->{progress}[0]{migration}, '9_slow', 'progress --json names what runs') or diag $out;
	($rc, $out, $err) = upg('progress', '-d', 'look');
	like($out, qr/9_slow +up +running +2 +3 .*pg_sleep/, '... with step and statement');
	($rc, $out, $err) = upg('lock', 'show', '-d', 'look');
	like($out, qr/9_slow/, 'lock show names who holds');
	($rc, $out, $err) = upg('lock', 'show', '-d', 'look', '--json');
	ok(@{ decode_json($out)->{locks} } >= 1, '... as JSON, too');
	($rc, $out, $err) = upg('wait', '-d', 'look', '--timeout', '300ms', '9_slow');
	is($rc, 124, 'wait gives up at its time limit') or diag "$out$err";
	($rc, $out, $err) = upg('wait', '-d', 'look', '9_slow');
	is($rc, 0, '... and else waits until it is applied') or diag $err;
	like($out, qr/9_slow/, '... which it says');
	finish($run);
}

# finalize and repair
sql('look', q{SET upg.undo = 'required'; SELECT upg_apply('kept', 'DROP TABLE a')});
($rc, $out, $err) = upg('finalize', '-d', 'look', '--dry-run', 'kept');
is($out, "would finalize \"kept\"\n", 'finalize --dry-run');
is(sql('look', q{SELECT undo FROM upg_status() WHERE migration = 'kept'}), 'exact', '... changes nothing');
($rc, $out, $err) = upg('finalize', '-d', 'look', '--json', 'kept');
is(decode_json($out)->{state}, 'finalized', 'finalize') or diag $err;
($rc, $out, $err) = upg('down', '-d', 'look', 'kept');
isnt($rc, 0, '... and there is no way back') or diag $out;
($rc, $out, $err) = upg('finalize', '-d', 'look', 'nonesuch');
is($rc, 1, 'finalize of an unknown migration') or diag $err;
($rc, $out, $err) = upg('apply', '-d', 'look', files("$work/with", 'reason.up.sql' => 'CREATE TABLE reasoned (i int);', 'reason.down.sql' => 'DROP TABLE reasoned;') . '/reason.up.sql');
is($rc, 0, 'apply') or diag $err;
($rc, $out, $err) = upg('down', '-d', 'look', 'reason', '--reason=wrong week', '--lock-timeout=5s');
is($rc, 0, 'down with a reason') or diag $err;
is(sql('look', q{SELECT reason FROM upg.rollback_records ORDER BY 1 DESC LIMIT 1}), 'wrong week', '... which the books keep');
($rc, $out, $err) = upg('down', '-d', 'look', 'reason', '--lock-timeout=soon');
is($rc, 2, '... and a lock timeout that is none') or diag $out;
like($err, qr/lock_timeout/, '... is refused');
($rc, $out, $err) = upg('repair', '-d', 'look', '1_a', '--mark=applied');
is($rc, 2, 'repair without a reason is refused');
like($err, qr/needs --mark and --reason/, '... and says what is needed');
($rc, $out, $err) = upg('repair', '-d', 'look', '1_a', '--mark=absent', '--reason=seen', '--dry-run');
is($out, "would mark \"1_a\" as absent\n", 'repair --dry-run');
($rc, $out, $err) = upg('repair', '-d', 'look', '1_a', '--mark=absent', '--reason=seen');
isnt($rc, 0, 'repair of what is settled is refused');
is(sql('look', q{SELECT state FROM upg_migration_state('1_a')}), 'applied', '... and changes nothing');

# audit
($rc, $out, $err) = upg('audit', 'verify', '-d', 'look', '--json');
is(decode_json($out)->{result}[0]{ok}, JSON::PP::true, 'audit verify --json') or diag $out;
($rc, $out, $err) = upg('audit', 'checkpoint', '-d', 'look', '--note', 'kept');
is($rc, 0, 'audit checkpoint') or diag $err;
files($work, 'point.json' => $out, 'bad.json' => '{"seq": 1', 'other.json' => '{"seq": 1, "hash": "00"}');
($rc, $out, $err) = upg('audit', 'verify', '-d', 'look', '--checkpoint', "$work/point.json");
like($out, qr/intact: \d+ entries, in agreement with the checkpoint/, 'audit verify with a checkpoint');
($rc, $out, $err) = upg('audit', 'verify', '-d', 'look', '--checkpoint', "$work/nonesuch.json");
isnt($rc, 0, '... with one that is not there');
like($err, qr/nonesuch\.json/, '... is named');
($rc, $out, $err) = upg('audit', 'verify', '-d', 'look', '--checkpoint', "$work/bad.json");
like($err, qr/invalid input syntax for type json/, '... with one that is none');
($rc, $out, $err) = upg('audit', 'export', '-d', 'look');
my $lines = () = $out =~ /\n/g;
is($lines, sql('look', 'SELECT count(*) FROM upg.audit_log'), 'audit export: a line each');
($rc, $out, $err) = upg('audit', 'export', '-d', 'look', '--from', '2', '--format', 'csv');
is(scalar(() = $out =~ /^\d+,/mg), $lines - 1, 'audit export --from --format=csv') or diag $out;
($rc, $out, $err) = upg('audit', 'export', '-d', 'look', '--from', 'x');
is($rc, 2, 'an entry that is no number is refused');
sql('look', q{ALTER TABLE upg.audit_log DISABLE TRIGGER ALL; UPDATE upg.audit_log SET actor = 'nobody' WHERE seq = 2});
($rc, $out, $err) = upg('audit', 'verify', '-d', 'look');
is($rc, 8, 'a damaged trail exits 8');
like($err, qr/First bad entry: 2/, '... and says where');
for my $command ([ 'show', '1_a' ], [ 'history' ], [ 'status' ], [ 'wait', '1_a' ], [ 'progress' ], [ 'lock', 'show' ],
	[ 'finalize', '1_a' ], [ 'audit', 'verify' ], [ 'audit', 'export' ], [ 'audit', 'checkpoint' ],
	[ 'repair', '1_a', '--mark=absent', '--reason=x' ])
{
	($rc, $out, $err) = upg(@$command, '-d', 'nonesuch');
	is($rc, 11, "@$command without the database exits 11");
	($rc, $out, $err) = upg(@$command, '-d', 'i2', '-U', 'nobody');
	is($rc, 9, "@$command without the rights exits 9") or diag "$out$err";
}
done_testing();
