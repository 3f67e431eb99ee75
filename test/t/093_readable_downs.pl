# Readable downs: the portable down of cases of the round-trip corpus, run by psql on a
# database without upg, leaves what was there before; no statement is called exact that
# is not.  All cases take half an hour; without UPG_FULL every twelfth runs.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(run);
use JSON::PP qw(decode_json);
use Test::More;
use UpgTest;

server_start('fsync=off', 'autovacuum=off', 'allow_in_place_tablespaces=on', 'wal_level=logical');
my $top  = "$FindBin::Bin/../..";
my $work = workdir();
my ($rc, $out, $err);

# the command: script, JSON, usage
database('readable');
sql('readable', 'CREATE TABLE t (id int PRIMARY KEY, a text, b int); INSERT INTO t VALUES (1, $$x$$, 2)');
my $dir = files("$work/m", '0001_drop.up.sql' => "ALTER TABLE t DROP COLUMN a;\n");
($rc, $out, $err) = upg('up', '-d', 'readable', '--undo=required', $dir);
is($rc, 0, 'a migration with undo') or diag $err;
($rc, $out, $err) = upg('show', '-d', 'readable', '--down', '0001_drop');
is($rc, 0, 'show --down') or diag $err;
like($out, qr/^-- column public\.t\.a comes back$/m, '... says what comes back');
like($out, qr/^SELECT .*upg_rollback\('0001_drop'.*undo_digest/m, '... and calls the rollback, guarded');
($rc, $out, $err) = upg('show', '-d', 'readable', '--down', '--portable', '0001_drop');
is($rc, 0, 'show --down --portable') or diag $err;
like($out, qr/^-- exact\nCREATE TABLE public\.t \(/m, '... is plain DDL, with tags');
unlike($out, qr/upg_rollback/, '... that does not need upg');
my $script = $out;
($rc, $out, $err) = upg('show', '-d', 'readable', '--down', '--portable', '--json', '0001_drop');
is($rc, 0, 'the same as JSON') or diag $err;
my $json = decode_json($out);
is(join(' ', sort keys %{ $json->{statements}[0] }), 'n object reason statement tag', '... each with its fields');
is(scalar(grep { $_->{tag} ne 'exact' } @{ $json->{statements} }), 0, '... all of them exact');
like($json->{down}, qr/^CREATE TABLE public\.t/m, '... and what runs as one text');
($rc, $out, $err) = upg('show', '-d', 'readable', '--portable', '0001_drop');
is($rc, 2, '--portable without --down is refused');
($rc, $out, $err) = upg('show', '-d', 'readable', '--down', '--portable', '--json', 'nonesuch');
isnt($rc, 0, 'an unknown migration') or diag $out;
sql('readable', 'DROP EXTENSION upg');
($out, $err) = ('', '');
ok(run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'readable' ], \$script, \$out, \$err),
	'psql runs the script without upg') or diag $err;
is(sql('readable', 'SELECT t FROM t'), '(1,x,2)', '... and the row is what it was');

# who owns the tables can run it, foreign keys, triggers and forced row security or not
database('owned');
sql('owned', 'CREATE ROLE plain LOGIN; GRANT upg_operator TO plain; CREATE SCHEMA s AUTHORIZATION plain');
my $tables = "CREATE TABLE s.p (id int PRIMARY KEY, gone text, code text UNIQUE);
	CREATE TABLE s.c (id serial PRIMARY KEY, p int NOT NULL REFERENCES s.p ON DELETE CASCADE, self int REFERENCES s.c, v text);
	INSERT INTO s.p SELECT i, 'g' || i, 'c' || i FROM generate_series(1, 5) i;
	INSERT INTO s.c (p, self, v) SELECT 1 + i % 5, nullif(i / 2, 0), 'v' || i FROM generate_series(1, 9) i;
	CREATE FUNCTION s.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
	CREATE TRIGGER no BEFORE INSERT OR UPDATE OR DELETE ON s.c FOR EACH ROW EXECUTE FUNCTION s.no();
	ALTER TABLE s.c ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;";
sql('owned', "SET ROLE plain; $tables");
my $dump = sub { join "\n", sort grep { !/restrict/ } split /\n/, `pg_dump -d $_[0] -n s` };
my $was  = $dump->('owned');
sql('owned', "SELECT upg_apply('m', 'ALTER TABLE s.c DISABLE TRIGGER no; DELETE FROM s.c WHERE id > 5;
	DELETE FROM s.p WHERE id = 5; INSERT INTO s.p VALUES (6, NULL, NULL); INSERT INTO s.c (p, v) VALUES (6, ''new'');
	UPDATE s.c SET self = NULL; ALTER TABLE s.p DROP gone; ALTER TABLE s.c ENABLE TRIGGER no')");
$script = sql('owned', "SELECT upg_down('m', true)");
like($script, qr/^-- Needs the rights of who owns what it changes \(plain\)\.$/m, 'a script that its owner may run');
unlike($script, qr/session_replication_role/, '... sets nothing that takes a superuser');
sql('owned', 'DROP EXTENSION upg');
($out, $err) = ('', '');
ok(run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-U', 'plain', '-d', 'owned' ], \$script, \$out, \$err),
	'... and runs it') or diag $err;
is($dump->('owned'), $was, '... so that schema and rows are what they were');

my @cases = sort glob "$top/test/roundtrip/cases/*.sql";

# types and functions that need each other, a name that another one begins with
($out, $err) = ('', '');
my @circles = map { ('--only', $_) } '41 a range', '42 a type that exists', "43 a table's row type";
run([ 'python3', "$top/test/roundtrip/downs.py", '--work', $work, @circles, @cases ], \undef, \$out, \$err);
like($out, qr/^downs 3: same 3 /m, 'types and the functions that they are made of, tables and functions of their rows, multiranges') or diag($out, $err);

my @only  = $ENV{UPG_FULL} ? () : ('--sample', 12);
($out, $err) = ('', '');
my $ok = run([ 'python3', "$top/test/roundtrip/downs.py", '--work', $work, @only, @cases ], \undef, \$out, \$err);
ok($ok, 'portable downs: at least 90 % give back what was there, none that does not says so') or diag($out, $err);
my ($tried, $same, $wrong) = $out =~ /^downs (\d+): same (\d+) .* wrong (\d+)/m;
diag($1) if $out =~ /^(downs .*)$/m;
cmp_ok($tried // 0, '>', $ENV{UPG_FULL} ? 350 : 25, 'cases were tried');
is($wrong, 0, 'no script is wrong');
done_testing();
