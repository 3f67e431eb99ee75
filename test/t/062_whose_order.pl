# A migration of several steps that one session queues and another replaces, at the
# same time: whatever wins, a script runs with the login of who gave it, the books
# hold the script that ran, and every effect is there once.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Upg::Server;

my $rounds = $ENV{UPG_KILLS} || 6;
my $server = Upg::Server->new('fsync=off', 'max_worker_processes=16');
$server->sql(<<'SQL');
CREATE EXTENSION upg;
CREATE ROLE operator LOGIN;
GRANT upg_operator TO operator;
CREATE TABLE ran (migration text, login text);
GRANT INSERT ON ran TO operator;
CREATE TABLE secret (i int);
CREATE TABLE small (i int);
ALTER TABLE small OWNER TO operator;
GRANT CREATE ON SCHEMA public TO operator;
SQL

for my $n (1 .. $rounds)
{
    # The second polls for the first one's footprint, and may take it before the
    # first one's worker does.
    my $theirs = "VACUUM small; RESET SESSION AUTHORIZATION; RESET ROLE; INSERT INTO ran VALUES ('m$n', session_user || '/theirs'); CREATE INDEX CONCURRENTLY small_$n ON small (i);";
    my $ours = "VACUUM small; INSERT INTO ran VALUES ('m$n', session_user || '/ours'); CREATE INDEX CONCURRENTLY small_$n ON small (i);";
    my $first = $server->background(<<"SQL");
BEGIN;
SELECT state FROM upg_apply('m$n', \$u\$$ours\$u\$);
SELECT pg_sleep(0.3);
COMMIT;
SQL
    my $second = do
    {
        local $ENV{PGUSER} = 'operator';
        $server->background(<<"SQL");
SELECT pg_sleep(0.15);
SET upg.conflict_timeout = '1s';
SELECT state FROM upg_apply('m$n', \$u\$$theirs\$u\$);
SQL
    };
    $server->reap($_) for $first, $second;
    ok($server->wait_for("SELECT state NOT IN ('queued', 'running') FROM upg_migration_state('m$n')", 30),
        "round $n: the migration comes to an end");
    is($server->sql("SELECT state FROM upg_migration_state('m$n')"), 'applied', "round $n: it is applied");
    my $ran = $server->sql("SELECT string_agg(login, ',') FROM ran WHERE migration = 'm$n'");
    like($ran, qr{^(postgres/ours|operator/theirs)$}, "round $n: one script ran, once, with its own login");
    my $whose = $ran =~ /ours/ ? 'ours' : 'theirs';
    is($server->sql("SELECT up_sql ~ '/$whose' FROM upg.migrations WHERE name = 'm$n'"),
        't', "round $n: the books hold the script that ran ($whose)");
}
is($server->sql('SELECT ok, reason FROM upg_audit_verify()'), 't|', 'the audit chain is whole');

done_testing();
