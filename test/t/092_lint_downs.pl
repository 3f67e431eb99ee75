# upg lint --downs: a small project that has each kind of fault, and every fault is named.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(finish signal);
use JSON::PP;
use Test::More;
use Time::HiRes qw(usleep);
use UpgTest;

server_start();
my ($rc, $out, $err);
my $work = workdir();
my $m    = "$work/m";

# A table of every type, with constraints that rows must meet.
my $types = <<'SQL';
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN hash AS text CHECK (length(VALUE) = 64);
CREATE TABLE tenants (id uuid PRIMARY KEY, name varchar(9) NOT NULL UNIQUE);
CREATE TABLE many (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant uuid NOT NULL REFERENCES tenants,
  c color NOT NULL, p pair, pos positive NOT NULL, h hash NOT NULL, n numeric(4, 2) NOT NULL,
  r int4range NOT NULL, ts tstzrange, mr nummultirange, a text[] NOT NULL, ca color[], j jsonb NOT NULL,
  i interval NOT NULL, b bytea NOT NULL CHECK (octet_length(b) = 32), ip inet NOT NULL, mac macaddr, bits bit(7),
  v varbit, x xml, pt point, poly polygon, tsv tsvector, l pg_lsn, ch "char", money money,
  state text NOT NULL CHECK (state IN ('open', 'closed')), low int NOT NULL, high int NOT NULL, CHECK (low < high),
  one int, other int, CHECK (num_nonnulls(one, other) = 1), email text NOT NULL CHECK (email LIKE '%@%'),
  g int GENERATED ALWAYS AS (low + high) STORED, EXCLUDE USING gist (r WITH &&), UNIQUE (tenant, id));
CREATE TABLE details (
  tenant uuid NOT NULL, many bigint NOT NULL, parent bigint, FOREIGN KEY (tenant, many) REFERENCES many (tenant, id) DEFERRABLE INITIALLY DEFERRED,
  FOREIGN KEY (tenant) REFERENCES tenants, PRIMARY KEY (tenant, many), "Odd ""name" text);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
CREATE TABLE guarded (id int PRIMARY KEY, word text);
CREATE TRIGGER guarded_refuse BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION refuse();
SQL
my $drop_types = <<'SQL';
DROP TABLE guarded, details, many, tenants;
DROP FUNCTION refuse();
DROP DOMAIN hash;
DROP DOMAIN positive;
DROP TYPE pair;
DROP TYPE color;
SQL
my %project = (
	'01_users'  => [ "CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, nick text DEFAULT 'none', age int, mail text DEFAULT 'none');\n"
		  . "CREATE INDEX users_nick ON users (nick);\nCREATE VIEW names AS SELECT id, name FROM users;", "DROP VIEW names;\nDROP TABLE users;" ],
	'02_types'  => [ $types, $drop_types ],
	'03_column' => [ 'ALTER TABLE users DROP COLUMN nick;', "ALTER TABLE users ADD COLUMN nick text DEFAULT 'none';" ],
	'04_empty'  => [ 'CREATE INDEX users_age ON users (age);', '-- nothing to do' ],
	'05_default' => [ "ALTER TABLE users ALTER COLUMN mail SET DEFAULT 'x';", 'ALTER TABLE users ALTER COLUMN mail DROP DEFAULT;' ],
	'06_fails'  => [ 'CREATE TABLE six (i int);', "SELECT 1;\n\nDROP TABLE\n  sixx;\n" ],
	'07_insert' => [ "INSERT INTO tenants VALUES ('00000000-0000-0000-0000-000000000001', 'seven');", 'SELECT 1;' ],
	'08_delete' => [ "DELETE FROM guarded;\nDROP VIEW names;", 'CREATE VIEW names AS SELECT id, name FROM users;' ],
	'09_enum'   => [ "ALTER TYPE color ADD VALUE 'blue' BEFORE 'green';", 'SELECT 1;' ],
	'10_concurrently' => [ 'CREATE INDEX CONCURRENTLY many_low ON many (low);', 'DROP INDEX CONCURRENTLY many_low;' ],
	'11_none'   => [ 'CREATE TABLE eleven (i int);', undef ],
	'12_broken' => [ "CREATE TABLE twelve (i int);\nCREATE TABLE twelve (i int);", 'DROP TABLE twelve;' ],
	'13_value'  => [ "ALTER TYPE color ADD VALUE 'white';\nALTER TABLE many ALTER COLUMN c SET DEFAULT 'white';", 'ALTER TABLE many ALTER COLUMN c DROP DEFAULT;' ],
	'14_view'   => [ 'CREATE OR REPLACE VIEW names AS SELECT id, name, age FROM users;', 'CREATE OR REPLACE VIEW names AS SELECT id, name FROM users;' ],
	'15_role'   => [ 'GRANT SELECT ON users TO lint_reader;', 'REVOKE SELECT ON users FROM lint_reader;' ],
	'16_outside' => [ "ALTER SYSTEM SET work_mem = '9MB';\nALTER DATABASE mine SET work_mem = '9MB';\nCREATE ROLE lint_made;", 'DROP ROLE lint_made;' ],
	'17_rows'   => [ 'ALTER TABLE users ALTER COLUMN name DROP NOT NULL;' . "\nUPDATE users SET name = NULL;", 'ALTER TABLE users ALTER COLUMN name SET NOT NULL;' ],
	'18_again'  => [ "CREATE TYPE leftover AS ENUM ('a');\nCREATE TABLE eighteen (l leftover);", 'DROP TABLE eighteen;' ],
	'19_narrow' => [ 'ALTER TABLE many ALTER COLUMN n TYPE int;', 'ALTER TABLE many ALTER COLUMN n TYPE numeric(4, 2);' ],
	'20_unique' => [ "UPDATE users SET mail = 'same';\nALTER TABLE users ADD UNIQUE (mail);", 'ALTER TABLE users DROP CONSTRAINT users_mail_key;' ],
	'21_path'   => [ "SET search_path = pg_catalog;\nSET LOCAL lock_timeout = '1s';\nCREATE TEMP TABLE t (i int) ON COMMIT DROP;\nCREATE TABLE public.p (i int);",
		"CREATE TEMP TABLE t (i int) ON COMMIT DROP;\nDROP TABLE p;" ],
	'22_own'    => [ "BEGIN;\nCREATE TABLE own (i int);\nCOMMIT;", "BEGIN;\nDROP TABLE own;\nCOMMIT;" ],
	'23_table'  => [ 'DROP TABLE guarded;', 'CREATE TABLE guarded (id int PRIMARY KEY, word text);' ],
	'24_lower'  => [ 'UPDATE tenants SET name = lower(name);', 'SELECT 1;' ],
	'26_long'   => [ "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \$\$\nBEGIN\n  RAISE EXCEPTION 'never';\nEND \$\$;\nALTER TABLE many ALTER low DROP NOT NULL;",
		"-- the function is forgotten\n\nALTER TABLE many ALTER low SET NOT NULL;" ],
	'25_swap'   => [ 'UPDATE many SET low = -high, high = -low;', 'UPDATE many SET low = -high, high = -low;' ],
	'27_refs' => [ "CREATE TABLE early (id int PRIMARY KEY, late int);\nCREATE TABLE late (id int PRIMARY KEY);\nALTER TABLE early ADD FOREIGN KEY (late) REFERENCES late ON DELETE SET NULL;\n"
		  . "CREATE TABLE nowhere (id int PRIMARY KEY, a int REFERENCES late, b int REFERENCES late, c int REFERENCES late, CHECK (a IS NULL AND b IS NULL AND c IS NULL));",
		"DROP TABLE nowhere;\nDROP TABLE early;\nDROP TABLE late;" ],
	'28_cascade' => [ 'DELETE FROM late;', 'SELECT 28;' ],
);
for my $name (keys %project)
{
	files($m, "$name.up.sql" => $project{$name}[0]);
	files($m, "$name.down.sql" => $project{$name}[1]) if defined $project{$name}[1];
}

# the database that we connect to has tables of the same names, and no extension
sql('postgres', 'CREATE DATABASE mine');
sql('mine', "CREATE TABLE users (id int, keep text); INSERT INTO users VALUES (1, 'mine')");
my $databases = sql('postgres', 'SELECT datname FROM pg_database ORDER BY 1');
my $roles     = sql('postgres', 'SELECT rolname FROM pg_roles ORDER BY 1');

($rc, $out, $err) = upg('lint', '--downs', '--json', '--html', "$work/r.html", '--junit', "$work/r.xml", '-d', 'mine', $m);
is($rc, 8, 'lossy downs exit 8') or diag $err;
my $doc = decode_json($out);
my %got = map { $_->{name} => $_ } @{ $doc->{migrations} };
is(scalar(keys %got), 28, 'every migration is there');

sub texts { return join("\n", map { $_->{text} } @{ $got{ $_[0] }{findings} }) }
sub verdict
{
	my ($name, $verdict, @patterns) = @_;
	is($got{$name}{verdict}, $verdict, "$name is $verdict") or diag(encode_json($got{$name}));
	like(texts($name), $_, "$name: $_") foreach @patterns;
}

verdict('01_users', 'exact');
verdict('02_types', 'exact');
is($got{'03_column'}{tables_with_rows}, $got{'03_column'}{tables}, 'every table could be filled');
is($got{'03_column'}{tables}, 5, 'five of them');
verdict('03_column', 'lossy', qr/^index public\.users_nick is not restored: CREATE INDEX users_nick ON public\.users USING btree \(nick\)$/m, qr/table public\.users: column order was id, name, nick/,
	qr/table public\.users, column nick: 2 of 3 values lost, all are now none/);
ok($got{'03_column'}{destroys}, 'and its up drops values');
verdict('04_empty', 'differs', qr/^index public\.users_age is left behind$/);
ok($got{'04_empty'}{down_empty}, 'and its down is empty');
verdict('05_default', 'differs', qr/^column public\.users\.mail: default 'none'::text is lost$/);
verdict('06_fails', 'fails');
is($got{'06_fails'}{down_error}{what}, 'table "sixx" does not exist', 'with the error');
like($got{'06_fails'}{down_error}{where}, qr/06_fails\.down\.sql:3$/, 'its line');
is($got{'06_fails'}{down_error}{sqlstate}, '42P01', 'and its code');
verdict('07_insert', 'lossy', qr/^table public\.tenants: 1 row left behind$/m);
ok(!$got{'07_insert'}{destroys}, 'an insert destroys nothing');
verdict('08_delete', 'lossy', qr/^table public\.guarded: 3 of 3 rows lost$/);
verdict('09_enum', 'differs', qr/^type public\.color: labels was 'red', 'green', is 'red', 'blue', 'green'$/);
verdict('10_concurrently', 'exact');
ok($got{'10_concurrently'}{in_copy}, 'what no transaction holds is tried in a copy');
verdict('11_none', 'none');
verdict('12_broken', 'untested');
like($got{'12_broken'}{up_error}{where}, qr/12_broken\.up\.sql:2$/, 'the up that fails is placed');
verdict('13_value', 'differs', qr/white/);
ok($got{'13_value'}{in_copy}, 'a new enum value needs a commit before its use');
verdict('14_view', 'fails');
like($got{'14_view'}{down_error}{what}, qr/cannot drop columns from view/, 'and the server says why');
verdict('15_role', 'exact');
like("@{ $got{'15_role'}{notes} }", qr/role "lint_reader" was made for the run/, 'a role that is missing is made');
verdict('16_outside', 'exact');
is(scalar(grep { /not run, it changes the server/ } @{ $got{'16_outside'}{notes} }), 2, 'what reaches outside is not run, and named');
verdict('17_rows', 'fails');
like("@{ $got{'17_rows'}{notes} }", qr/the down runs while all tables are empty/, 'the rows are the reason');
verdict('18_again', 'differs', qr/^type public\.leftover is left behind$/);
like($got{'18_again'}{again_error}{what}, qr/type "leftover" already exists/, 'and the up cannot be applied again');
verdict('19_narrow', 'lossy', qr/table public\.many, column n: 3 of 3 values changed/);
verdict('20_unique', 'lossy', qr/column mail: 1 of 1 value changed/);
verdict('21_path', 'exact');
verdict('22_own', 'exact');
ok(!$got{'22_own'}{in_copy}, 'an outer BEGIN and COMMIT need no copy');
verdict('23_table', 'lossy', qr/^trigger guarded_refuse on table public\.guarded is not restored: CREATE TRIGGER guarded_refuse BEFORE /m, qr/^table public\.guarded: 3 of 3 rows lost$/m);
verdict('24_lower', 'lossy', qr/column name: 3 of 4 values changed, for example from V\d+ to v\d+/);
verdict('26_long', 'differs', qr/^function public\.refuse\(\): body is not as before in line 1: was BEGIN RAISE EXCEPTION 'not now'; END , is an empty line$/m);
verdict('25_swap', 'exact');
ok($got{'25_swap'}{destroys}, 'changed and changed back is a change that was taken back');

verdict('27_refs', 'exact');
verdict('28_cascade', 'lossy', qr/^table public\.late: 3 of 3 rows lost$/m, qr/^table public\.early, column late: 2 of 3 values lost, null now$/m);
is($got{'28_cascade'}{tables_with_rows}, $got{'28_cascade'}{tables}, 'tables are filled after those they refer to, and without a reference where none is allowed')
  or diag($got{'28_cascade'}{tables_with_rows}, ' of ', $got{'28_cascade'}{tables});

# where to look: the object in the down, else its table, else the first statement
sub place { my ($f) = grep { $_->{text} =~ $_[1] } @{ $got{ $_[0] }{findings} }; return $f->{where} =~ s/.*\///r }
is(place('03_column', qr/column order/), '03_column.down.sql:1', 'a finding has its place');
is(place('26_long', qr/refuse/), '26_long.down.sql:3', 'what the down forgets: its first statement');
is(place('04_empty', qr/users_age/), '04_empty.down.sql:1', 'or the first line of an empty one');
is($got{'06_fails'}{where}, $got{'06_fails'}{down_error}{where}, 'that of a down that fails is where it fails');
like($got{'12_broken'}{where}, qr/12_broken\.up\.sql:2$/, 'of an up that fails, there');

my $sum = $doc->{summary};
my %count;
$count{ $_->{verdict} }++ foreach values %got;
is($sum->{$_}, $count{$_}, "summary counts $_") foreach qw(exact untested none differs lossy fails);
is($sum->{downs}, 26, 'downs that ran');
is($sum->{destroying}, (grep { $_->{destroys} && $_->{verdict} !~ /none|untested/ } values %got), 'ups that change rows');

# the reports
my $html = slurp("$work/r.html");
like($html, qr/^<!DOCTYPE html>.*<\/html>$/s, 'a page');
unlike($html, qr/<script|https?:\/\/|src=/i, 'that fetches and runs nothing');
like($html, qr/&quot;sixx&quot; does not exist/, 'and holds the findings, escaped');
like($html, qr/@{[ $count{lossy} + $count{fails} ]} of 28 fail the check/, 'says whether the check passes');
like($html, qr/DROP TABLE\n<mark>|<mark>DROP TABLE<\/mark>\n  sixx/, 'shows the scripts with the line that it is about');
unlike($html, qr/DROP VIEW names;\nDROP TABLE users;/, 'but not those of what is exact');
like($html, qr/<td><pre>\nBEGIN\n  RAISE EXCEPTION 'never';/, 'and long values whole');
my $xml = slurp("$work/r.xml");
is(() = $xml =~ /<testcase /g, 28, 'JUnit: a case for each migration');
is(() = $xml =~ /<failure /g, $count{lossy} + $count{fails}, 'a failure for each that breaks the policy');
like($xml, qr/<testsuite [^>]*tests="28" failures="@{[ $count{lossy} + $count{fails} ]}"/, 'and the figures');
like($xml, qr/<testcase classname="downs" name="06_fails" file="\S*06_fails\.down\.sql" line="3" time="[\d.]+">\s*<failure message="the down does not run: the down fails: \S+:3: table &quot;sixx&quot;/, 'a failure has its place and its reason');
SKIP:
{
	skip 'no xmllint', 1 unless -x '/usr/bin/xmllint';
	is(system("xmllint --noout $work/r.xml"), 0, 'well formed');
}

# text, policies
($rc, $out, $err) = upg('lint', '--downs', '--fail-on=never', '-d', 'mine', $m);
is($rc, 0, 'never fails when told so') or diag $err;
like($out, qr/^fails     06_fails\n +the down fails: .*06_fails\.down\.sql:3: table "sixx" does not exist$/m, 'text names the error');
like($out, qr/^the schema is exactly restored by \d+ of 26 \(\d+%\)$/m, 'and the share');
unlike($out, qr/^exact +01_users/m, 'what is exact is not listed');
files("$work/d", '1_a.up.sql' => 'CREATE TABLE a (i int DEFAULT 1);', '1_a.down.sql' => 'DROP TABLE a;',
	'2_b.up.sql' => 'ALTER TABLE a ALTER i SET DEFAULT 2;', '2_b.down.sql' => 'ALTER TABLE a ALTER i SET DEFAULT 3;', '3_c.up.sql' => 'SELECT 1;');
is((upg('lint', '--downs', "--fail-on=$_->[0]", '-d', 'mine', "$work/d"))[0], $_->[1], "--fail-on=$_->[0]")
  foreach [ 'fails', 0 ], [ 'lossy', 0 ], [ 'differs', 8 ], [ 'missing', 8 ], [ 'never', 0 ];
($rc, $out, $err) = upg('lint', '-v', '--downs', '--fail-on=never', '-d', 'mine', "$work/d");
like($out, qr/^exact     1_a$/m, '-v lists all');

# for editors and CI
($rc, $out, $err) = upg('lint', '--downs', '--annotate=gcc', '--fail-on=differs', '-d', 'mine', "$work/d");
is($rc, 8, '--annotate=gcc fails as without');
like($out, qr{^\Q$work\E/d/2_b\.down\.sql:1: error: differs: column public\.a\.i: default was 1, is 3$}m, 'a line with file, line and finding');
unlike($out, qr/3_c/, 'a down that nobody wants has none');
chdir $work or die;
($rc, $out, $err) = upg('lint', '--downs', '--annotate=github', '--fail-on=lossy', '-d', 'mine', "$work/d");
chdir '/' or die;
is($rc, 0, 'what --fail-on does not count ...');
like($out, qr{^::warning file=d/2_b\.down\.sql,line=1,title=down of 2_b%3A differs::column public\.a\.i: default was 1, is 3$}m, '... is a warning of GitHub Actions, by a path below the current directory');
is((upg('lint', '--downs', '--annotate=gcc', '--json', '-d', 'mine', "$work/d"))[0], 2, 'no annotations in JSON');

# what is known does not fail
($rc, $out, $err) = upg('lint', '--downs', '--fail-on=differs', '--write-baseline', "$work/known", '-d', 'mine', "$work/d");
is($rc, 0, 'what is written into the baseline does not fail') or diag $err;
like($out, qr/^differs   2_b$/m, 'but is shown');
is(join('|', grep { !/^#/ } split /\n/, slurp("$work/known")), 'differs  2_b|none     3_c', 'a line for each that is not exact');
($rc, $out, $err) = upg('lint', '--downs', '--fail-on=missing', '--baseline', "$work/known", '--junit', "$work/known.xml", '-d', 'mine', "$work/d");
is($rc, 0, 'nor does it later on') or diag $err;
unlike($out, qr/^differs   2_b$/m, 'nor is it listed');
like($out, qr/^2 as bad as the baseline has it, not counted$/m, 'only counted');
like(slurp("$work/known.xml"), qr/<testsuite [^>]*failures="0"/, 'JUnit, too');
files("$work/d", '4_d.up.sql' => 'ALTER TABLE a ADD j int;', '4_d.down.sql' => 'SELECT 4;', '3_c.down.sql' => 'SELECT 3;');
files($work, 'known' => "# ours\r\nexact 2_b\r\n\r\nnone 3_c\nlossy gone\n");
($rc, $out, $err) = upg('lint', '--downs', '--json', '--fail-on=differs', '--baseline', "$work/known", '-d', 'mine', "$work/d");
is($rc, 8, 'what is worse than its line fails, and what has none');
$doc = decode_json($out);
is(join(' ', map { "$_->{name}=" . ($_->{known} // '') . ($_->{breaks} ? '!' : '') } @{ $doc->{migrations} }), '1_a= 2_b=exact! 3_c=none 4_d=!', 'each by itself');
is($doc->{summary}{breaking}, 2, 'two of them');
($rc, $out, $err) = upg('lint', '--downs', '--fail-on=never', '--baseline', "$work/known", '-d', 'mine', "$work/d");
like($out, qr/^the baseline is old: 3_c is exact now, was none$/m, 'a line that is not needed any more is named');
like($out, qr/^the baseline is old: gone is no longer there$/m, 'and one of a migration that is gone');
files($work, 'bad' => "lossy 2_b\nworse 3_c\n");
($rc, $out, $err) = upg('lint', '--downs', '--baseline', "$work/bad", '-d', 'mine', "$work/d");
is($rc, 2, 'a line that is none is refused');
like($err, qr/^upg: error: "worse 3_c" is not a line of a baseline$/m, 'with its text');
like($err, qr{^upg: at: \Q$work\E/bad:2$}m, 'and its place');
is((upg('lint', '--downs', '--baseline', "$work/nonesuch", '-d', 'mine', "$work/d"))[0], 2, 'so is a file that is not there');

# only the last ones
($rc, $out, $err) = upg('lint', '-v', '--downs', '--latest=2', '--fail-on=never', '-d', 'mine', "$work/d");
is($rc, 0, '--latest') or diag $err;
like($out, qr/^exact     3_c\ndiffers   4_d$/m, 'tries the last ones ...') or diag $out;
unlike($out, qr/2_b/, '... alone');
like($out, qr/^2 migrations, 2 downs run in [\d.]+ s\n2 before them only applied$/m, 'and says so');
is((upg('lint', '--downs', '--latest=2', '--write-baseline', "$work/part", '-d', 'mine', "$work/d"))[0], 2, 'no baseline of a part');
is((upg('lint', '--downs', '--latest=0', '-d', 'mine', "$work/d"))[0], 2, 'none is no number of them');
files("$work/e", '1_a.up.sql' => 'CREATE TABLE a (i int); GRANT SELECT ON a TO lint_early;', '2_b.up.sql' => 'CREATE TABLE a (i int);', '3_c.up.sql' => 'CREATE TABLE c (i int);', '3_c.down.sql' => 'DROP TABLE c;');
($rc, $out, $err) = upg('lint', '-v', '--downs', '--latest=1', '-d', 'mine', "$work/e");
is($rc, 0, 'roles that those before take for granted are made, too') or diag $err;
like($err, qr{warning: the up of "2_b" does not apply here: \S+/2_b\.up\.sql:1: relation "a" already exists}, 'one of them that does not apply is named');
unlike($err, qr/"1_a" does not apply/, 'and only that');
unlink "$work/d/4_d.up.sql", "$work/d/4_d.down.sql", "$work/d/3_c.down.sql";

# scripts that cannot be read are findings, not the end
files("$work/unread", '1_a.up.sql' => 'CREATE TABLE a (i int);', '1_a.down.sql' => "DROP TABLE a;\n/* open", '2_b.up.sql' => "SELECT 'caf\xe9';", '2_b.down.sql' => 'SELECT 2;',
	'3_c.up.sql' => 'CREATE TABLE c (i int);', '3_c.down.sql' => 'DROP TABLE c;');
($rc, $out, $err) = upg('lint', '-v', '--downs', '-d', 'mine', "$work/unread");
is($rc, 8, 'a down that cannot be read fails') or diag $err;
like($out, qr/^fails     1_a\n +the down fails: \S+1_a\.down\.sql:2: unterminated comment$/m, '... with its place') or diag $out;
like($out, qr/^untested  2_b\n +the up does not apply: \S+2_b\.up\.sql:1: file "\S+" is not valid UTF-8$/m, 'an up that cannot be read leaves its down untested') or diag $out;
like($out, qr/^exact     3_c$/m, 'and those after it are tried');

# what is ours is gone, what is not ours is as it was
is(sql('postgres', 'SELECT datname FROM pg_database ORDER BY 1'), $databases, 'no database is left');
is(sql('postgres', 'SELECT rolname FROM pg_roles ORDER BY 1'), $roles, 'no role is left');
is(sql('mine', 'SELECT * FROM users'), '1|mine', 'the database of the user is not touched');
is(sql('mine', 'SHOW work_mem'), '4MB', 'nor the server');

# a named scratch database stays, is made anew, and is never somebody else's
($rc, $out, $err) = upg('lint', '--downs', '--scratch', 'looked_at', '--fail-on=never', '-d', 'mine', "$work/d");
is($rc, 0, 'a named scratch database') or diag $err;
is(sql('looked_at', 'SELECT count(*) FROM a'), 0, 'stays, without our rows');
is((upg('lint', '--downs', '--scratch', 'looked_at', '--fail-on=never', '-d', 'mine', "$work/d"))[0], 0, 'and is made anew');
($rc, $out, $err) = upg('lint', '--downs', '--scratch', 'mine', '-d', 'postgres', "$work/d");
is($rc, 2, 'a database that upg lint did not make is refused');
like($err, qr/database "mine" is not a scratch database/, 'with the reason');
($rc, $out, $err) = upg('lint', '--downs', '--scratch', 'looked_at', '-d', 'looked_at', "$work/d");
is($rc, 2, 'so is the one that we are connected to');
is(sql('mine', 'SELECT * FROM users'), '1|mine', 'nothing happened to it');
sql('postgres', 'DROP DATABASE looked_at');

# interrupted: the scratch database goes
files("$work/slow", '0_f.up.sql' => 'SELECT 1;', '0_f.down.sql' => 'DROP TABLE nothing;', '1_s.up.sql' => 'CREATE TABLE s (i int); SELECT pg_sleep(30);', '1_s.down.sql' => 'DROP TABLE s;');
my ($h, $o, $e) = upg_start('lint', '--downs', '-d', 'mine', "$work/slow");
for (1 .. 200)
{
	last if sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'upg_lint%' AND query LIKE '%pg_sleep(30)%'") > 0;
	usleep(50_000);
}
isnt(sql('postgres', "SELECT count(*) FROM pg_database WHERE datname LIKE 'upg_lint%'"), 0, 'there is a scratch database meanwhile');
signal($h, 'INT');
finish($h);
is($h->full_result >> 8, 130, 'SIGINT exits 130') or diag $$e;
like($$o, qr/^fails     0_f$/m, 'what was found so far is shown');
is(sql('postgres', 'SELECT datname FROM pg_database ORDER BY 1'), $databases, 'and nothing is left');

# tried when they are applied
database('applied');
($rc, $out, $err) = upg('up', '--down-check=require', '-d', 'applied', "$work/d");
is($rc, 1, 'a down that is not exact is refused');
like($err, qr/the down script of migration "2_b" does not give back what was there/, 'named');
like($err, qr/column public\.a\.i: default was 1, is 3/, 'with what differs');
is(sql('applied', 'SELECT count(*) FROM upg_status() WHERE state = \'applied\''), 1, 'and not applied');
($rc, $out, $err) = upg('up', '--down-check=warn', '-d', 'applied', "$work/d");
is($rc, 0, 'or warned of') or diag $err;
like($err, qr/warning: .*does not give back what was there: column public\.a\.i: default was 1, is 3/, 'and applied');

# wrong usage
($rc, $out, $err) = upg('lint', '-d', 'mine', "$work/d");
is($rc, 2, 'what to check must be said');
is((upg('lint', '--downs', '--rows=1', '-d', 'mine', "$work/d"))[0], 2, 'so few rows show nothing');
is((upg('lint', '--downs', '--html', "$work/no/r.html", '--fail-on=never', '-d', 'mine', "$work/d"))[0], 1, 'a report that cannot be written is an error');
sql('postgres', 'CREATE ROLE plain LOGIN');
($rc, $out, $err) = upg('lint', '--downs', '-U', 'plain', '-d', 'mine', "$work/d");
is($rc, 9, 'without the right to make a database: denied');
like($err, qr/create databases/, 'and it says what is needed');

done_testing();
